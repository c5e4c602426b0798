//! `xe`'s command line.

/// A command and what follows it.
pub struct Arguments {
    pub command: String,
    /// `name=value`, in the order given.
    pub values: Vec<(String, Vec<u8>)>,
    flags: Vec<String>,
}

impl Arguments {
    /// The real xe sends its arguments to xapi as lines, so that a newline inside an argument begins another one.
    pub fn parse(args: &[Vec<u8>]) -> Self {
        let mut words = args.iter().flat_map(|arg| arg.split(|&byte| byte == b'\n'));
        let command = words.next().map(|word| String::from_utf8_lossy(word).into_owned()).unwrap_or_default();
        let (mut values, mut flags) = (Vec::new(), Vec::new());
        for word in words {
            let word = word.strip_suffix(b"\r").unwrap_or(word);
            match word.iter().position(|&byte| byte == b'=') {
                Some(at) if !word.starts_with(b"--") => {
                    values.push((String::from_utf8_lossy(&word[..at]).into_owned(), word[at + 1..].to_vec()));
                }
                _ => flags.push(String::from_utf8_lossy(word).into_owned()),
            }
        }
        Self { command, values, flags }
    }

    pub fn has_flag(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.values.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_slice())
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The values whose names begin like that, without the beginning.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let values = self.values.iter();
        values.filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_slice())))
    }
}
