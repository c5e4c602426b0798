//! XML as xmlm reads it and xapi's own printer writes it (`ocaml/libs/xml-light2/xml.ml`).
//!
//! A reader of its own because the words and the place of its errors are part of what a plugin's caller sees.

/// An element or a piece of text.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Element { name: String, attributes: usize, children: Vec<Node> },
    Data(Vec<u8>),
}

/// Why a text is not XML, in xmlm's words.
#[derive(Debug, PartialEq, Eq)]
pub struct XmlError {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl XmlError {
    /// As OCaml prints the exception.
    pub fn as_exception(&self) -> String {
        format!("Xmlm.Error({}:{}, {})", self.line, self.column, super::ocaml_quoted(self.message.as_bytes()))
    }
}

/// Reads the root element; what follows it is never looked at. Text made of white space only is dropped.
pub fn parse(text: &[u8]) -> Result<Node, XmlError> {
    let mut reader = Reader { text, at: 0 };
    reader.prolog()?;
    reader.element()
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn prolog(&mut self) -> Result<(), XmlError> {
        if self.text.starts_with(b"<?xml") {
            self.skip_past(b"?>")?;
        }
        loop {
            self.skip_space();
            if self.looking_at(b"<!--") {
                self.skip_past(b"-->")?;
            } else if self.looking_at(b"<!DOCTYPE") {
                self.skip_past(b">")?;
            } else if self.looking_at(b"<?") {
                self.processing_instruction()?;
            } else {
                break;
            }
        }
        match self.peek()? {
            b'<' => Ok(()),
            _ => Err(self.error("expected root element")),
        }
    }

    /// A declaration is one only at the very start: anywhere else `<?xml` is an error.
    fn processing_instruction(&mut self) -> Result<(), XmlError> {
        if self.looking_at(b"<?xml") {
            self.at += 5;
            return Err(self.error("character sequence illegal here (\"xml\")"));
        }
        self.skip_past(b"?>")
    }

    fn element(&mut self) -> Result<Node, XmlError> {
        self.expect(b'<')?;
        let name = self.name()?;
        let attributes = self.attributes()?;
        if self.peek()? == b'/' {
            self.at += 1;
            self.expect(b'>')?;
            return Ok(Node::Element { name, attributes, children: Vec::new() });
        }
        self.expect(b'>')?;
        let children = self.content()?;
        let found = self.name()?;
        if found != name {
            return Err(self.error(&format!("expected one of these character sequence: \"{name}\", found \"{found}\"")));
        }
        self.skip_space();
        self.expect(b'>')?;
        Ok(Node::Element { name, attributes, children })
    }

    /// Everything up to and including the `</` of the closing tag.
    fn content(&mut self) -> Result<Vec<Node>, XmlError> {
        let mut children = Vec::new();
        let mut data = Vec::new();
        loop {
            if self.looking_at(b"</") {
                self.at += 2;
                flush(&mut data, &mut children);
                return Ok(children);
            } else if self.looking_at(b"<![CDATA[") {
                let from = self.at + b"<![CDATA[".len();
                self.skip_past(b"]]>")?;
                data.extend_from_slice(&self.text[from..self.at - b"]]>".len()]);
            } else if self.looking_at(b"<!--") {
                self.skip_past(b"-->")?;
            } else if self.looking_at(b"<?") {
                self.processing_instruction()?;
            } else if self.peek()? == b'<' {
                flush(&mut data, &mut children);
                children.push(self.element()?);
            } else if self.peek()? == b'&' {
                self.reference(&mut data)?;
            } else {
                self.character(&mut data)?;
            }
        }
    }

    /// One character. A carriage return, alone or before a line feed, reads as a line feed.
    fn character(&mut self, data: &mut Vec<u8>) -> Result<(), XmlError> {
        let rest = &self.text[self.at..self.text.len().min(self.at + 4)];
        let valid = match std::str::from_utf8(rest) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default(),
        };
        match valid.chars().next() {
            Some('\r') => {
                self.at += if rest.get(1) == Some(&b'\n') { 2 } else { 1 };
                data.push(b'\n');
            }
            Some(character) if allowed(character) => {
                data.extend_from_slice(&rest[..character.len_utf8()]);
                self.at += character.len_utf8();
            }
            _ => return Err(self.error("malformed character stream")),
        }
        Ok(())
    }

    fn reference(&mut self, data: &mut Vec<u8>) -> Result<(), XmlError> {
        let from = self.at + 1;
        while self.peek()? != b';' {
            self.at += 1;
        }
        let name = String::from_utf8_lossy(&self.text[from..self.at]).into_owned();
        self.at += 1;
        if let Some(number) = name.strip_prefix('#') {
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => number.parse().ok(),
            };
            let character = code.and_then(char::from_u32).filter(|&character| allowed(character));
            let character = character.ok_or_else(|| self.error(&format!("illegal character reference (#{number})")))?;
            data.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(());
        }
        data.push(match name.as_str() {
            "lt" => b'<',
            "gt" => b'>',
            "amp" => b'&',
            "apos" => b'\'',
            "quot" => b'"',
            _ => return Err(self.error(&format!("unknown entity reference ({name})"))),
        });
        Ok(())
    }

    fn attributes(&mut self) -> Result<usize, XmlError> {
        let mut count = 0;
        loop {
            self.skip_space();
            if matches!(self.peek()?, b'>' | b'/') {
                return Ok(count);
            }
            self.name()?;
            self.skip_space();
            self.expect(b'=')?;
            self.skip_space();
            let quote = self.peek()?;
            if !matches!(quote, b'"' | b'\'') {
                return Err(self.illegal(quote));
            }
            self.at += 1;
            self.skip_past(&[quote])?;
            count += 1;
        }
    }

    fn name(&mut self) -> Result<String, XmlError> {
        let from = self.at;
        while !matches!(self.peek()?, b' ' | b'\t' | b'\n' | b'\r' | b'>' | b'/' | b'=' | b'<' | b'&' | b'"' | b'\'') {
            self.at += 1;
        }
        if from == self.at {
            return Err(self.illegal(self.peek()?));
        }
        Ok(String::from_utf8_lossy(&self.text[from..self.at]).into_owned())
    }

    fn expect(&mut self, byte: u8) -> Result<(), XmlError> {
        let found = self.peek()?;
        if found != byte {
            return Err(self.illegal(found));
        }
        self.at += 1;
        Ok(())
    }

    fn illegal(&self, found: u8) -> XmlError {
        self.error(&format!("character sequence illegal here (\"{}\")", char::from(found)))
    }

    fn looking_at(&self, wanted: &[u8]) -> bool {
        self.text[self.at..].starts_with(wanted)
    }

    fn skip_past(&mut self, end: &[u8]) -> Result<(), XmlError> {
        while !self.looking_at(end) {
            self.peek()?;
            self.at += 1;
        }
        self.at += end.len();
        Ok(())
    }

    fn skip_space(&mut self) {
        while self.text.get(self.at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Result<u8, XmlError> {
        self.text.get(self.at).copied().ok_or_else(|| self.error("unexpected end of input"))
    }

    fn error(&self, message: &str) -> XmlError {
        let (line, column) = super::place(self.text, self.at);
        XmlError { line, column, message: message.to_owned() }
    }
}

fn flush(data: &mut Vec<u8>, children: &mut Vec<Node>) {
    if data.iter().any(|byte| !matches!(byte, b' ' | b'\t' | b'\n')) {
        children.push(Node::Data(std::mem::take(data)));
    }
    data.clear();
}

/// Whether XML 1.0 allows that character.
fn allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..)
}

/// Escapes text as xapi does, in requests and replies alike: an apostrophe stays, a control character vanishes.
pub fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\t' | b'\n' | b'\r' | 0x20.. => out.push(byte),
            _ => {}
        }
    }
}
