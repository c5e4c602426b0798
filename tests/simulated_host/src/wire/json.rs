//! JSON as Yojson reads and writes it: its escapes, its wording of errors.

use super::Value;

/// Why a text is not JSON, in Yojson's words.
#[derive(Debug)]
pub struct JsonError(String);

impl JsonError {
    /// As OCaml prints the exception.
    pub fn as_exception(&self) -> String {
        format!("Yojson.Json_error({})", super::ocaml_quoted(self.0.as_bytes()))
    }
}

/// Reads one value, with nothing but white space around it.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value()?;
    reader.skip_space();
    if reader.at < text.len() { Err(reader.junk("Junk after end of JSON value:")) } else { Ok(value) }
}

/// The text of a value inside another, as it stands there. Each step is a member's name, or `0` into a list's first item.
pub fn raw<'a>(text: &'a [u8], path: &[&str]) -> Option<&'a [u8]> {
    let mut reader = Reader { text, at: 0 };
    for step in path {
        reader.skip_space();
        match reader.next().ok()? {
            b'[' if *step == "0" => {}
            b'{' => reader.go_to_member(step)?,
            _ => return None,
        }
    }
    reader.skip_space();
    let from = reader.at;
    reader.value().ok()?;
    Some(&text[from..reader.at])
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Result<Value, JsonError> {
        self.skip_space();
        match self.peek()? {
            b'{' => self.dict(),
            b'[' => self.list(),
            b'"' => self.string().map(Value::Text),
            b'-' | b'0'..=b'9' => self.number(),
            b'<' => {
                // Yojson's notation of a variant: <"Name">.
                self.at += 1;
                Err(self.junk("Expected string or identifier but found"))
            }
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Value, JsonError> {
        for (word, value) in [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)] {
            if self.text[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.junk("Invalid token"))
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let from = self.at;
        while self.text.get(self.at).is_some_and(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
        {
            self.at += 1;
        }
        let digits = String::from_utf8_lossy(&self.text[from..self.at]).into_owned();
        if let Ok(integer) = digits.parse() {
            return Ok(Value::Int(integer));
        }
        self.at = from;
        let float = digits.parse().map_err(|_| self.junk("Invalid token"))?;
        self.at = from + digits.len();
        Ok(Value::Float(float))
    }

    fn list(&mut self) -> Result<Value, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_space();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return Err(self.junk("Expected ',' or ']' but found")),
            }
        }
        self.at += 1;
        Ok(Value::List(items))
    }

    fn dict(&mut self) -> Result<Value, JsonError> {
        self.at += 1;
        let mut members = Vec::new();
        self.skip_space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(Value::Dict(members));
        }
        loop {
            members.push(self.member()?);
            self.skip_space();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return Err(self.junk("Expected ',' or '}' but found")),
            }
        }
        self.at += 1;
        Ok(Value::Dict(members))
    }

    /// Inside an object: reads on up to the value of that member.
    fn go_to_member(&mut self, name: &str) -> Option<()> {
        loop {
            self.skip_space();
            let key = self.string().ok()?;
            self.skip_space();
            self.at += 1;
            if key == name.as_bytes() {
                return Some(());
            }
            self.value().ok()?;
            self.skip_space();
            if self.next().ok()? != b',' {
                return None;
            }
        }
    }

    fn member(&mut self) -> Result<(Vec<u8>, Value), JsonError> {
        self.skip_space();
        if self.peek()? != b'"' {
            return Err(self.junk("Expected string or identifier but found"));
        }
        let key = self.string()?;
        self.skip_space();
        if self.peek()? != b':' {
            return Err(self.junk("Expected ':' but found"));
        }
        self.at += 1;
        Ok((key, self.value()?))
    }

    fn string(&mut self) -> Result<Vec<u8>, JsonError> {
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            match self.next()? {
                b'"' => return Ok(bytes),
                b'\\' => self.escape(&mut bytes)?,
                byte => bytes.push(byte),
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), JsonError> {
        let escaped = match self.next()? {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let character = self.unicode()?;
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            byte => byte,
        };
        bytes.push(escaped);
        Ok(())
    }

    fn unicode(&mut self) -> Result<char, JsonError> {
        let first = self.hex()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with(b"\\u") {
            self.at += 2;
            0x10000 + ((first - 0xd800) << 10) + (self.hex()?.wrapping_sub(0xdc00) & 0x3ff)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.junk("Invalid escape sequence"))
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at..self.at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.junk("Invalid escape sequence"))?;
        self.at += 4;
        Ok(code)
    }

    fn skip_space(&mut self) {
        while self.text.get(self.at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Result<u8, JsonError> {
        self.text.get(self.at).copied().ok_or_else(|| self.error(self.at, self.at, "Unexpected end of input"))
    }

    fn next(&mut self) -> Result<u8, JsonError> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    /// Yojson names the character it stumbled over and up to 32 more, and gives the place of the latter.
    fn junk(&self, message: &str) -> JsonError {
        let end = self.text.len().min(self.at + 33);
        let junk = String::from_utf8_lossy(&self.text[self.at.min(end)..end]).into_owned();
        self.error(self.at + 1, end, &format!("{message} '{junk}'"))
    }

    fn error(&self, from: usize, to: usize, message: &str) -> JsonError {
        let (line, column) = super::place(self.text, from);
        // Yojson's columns are one behind where the input ends or begins; hence the clamping.
        let line_start = from + 1 - column;
        let from = (from - line_start).saturating_sub(1);
        JsonError(format!("Line {line}, bytes {from}-{}:\n{message}", from.max(to - line_start)))
    }
}

/// Writes a value, compactly.
pub fn print(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Int32(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Float(value) => out.extend_from_slice(format!("{value:?}").as_bytes()),
        Value::Text(bytes) => write_string(bytes, out),
        Value::DateTime(text) => write_string(text.as_bytes(), out),
        Value::List(items) => write_sequence(out, [b'[', b']'], items, write),
        Value::Dict(members) => write_sequence(out, [b'{', b'}'], members, |(key, value), out| {
            write_string(key, out);
            out.push(b':');
            write(value, out);
        }),
    }
}

fn write_sequence<T>(out: &mut Vec<u8>, [open, close]: [u8; 2], items: &[T], each: impl Fn(&T, &mut Vec<u8>)) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        each(item, out);
    }
    out.push(close);
}

fn write_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x00..=0x1f | 0x7f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
