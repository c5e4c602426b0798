//! The conditions of `get_all_records_where` (`ocaml/database/db_filter_parse.mly`): equality of fields and strings,
//! `and` and `or` of the same precedence, `not` in front of everything to its right.

use crate::database::Record;
use crate::error::{ApiError, ApiResult};
use crate::wire::Value;

/// A condition.
#[derive(Debug, PartialEq)]
pub enum Condition {
    Constant(bool),
    Equal(Term, Term),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

/// One side of an equation.
#[derive(Debug, PartialEq)]
pub enum Term {
    Field(String),
    Literal(String),
}

impl Condition {
    pub fn holds(&self, reference: &str, record: &Record) -> bool {
        match self {
            Self::Constant(value) => *value,
            Self::Equal(left, right) => left.value(reference, record) == right.value(reference, record),
            Self::Not(condition) => !condition.holds(reference, record),
            Self::And(left, right) => left.holds(reference, record) && right.holds(reference, record),
            Self::Or(left, right) => left.holds(reference, record) || right.holds(reference, record),
        }
    }
}

impl Term {
    /// A field's value as the database spells it. The database joins names by two underscores.
    fn value(&self, reference: &str, record: &Record) -> Option<String> {
        match self {
            Self::Literal(text) => Some(text.clone()),
            Self::Field(name) if name == "_ref" || name == "ref" => Some(reference.to_owned()),
            Self::Field(name) => match record.get(&name.replace("__", "_"))? {
                Value::Bool(value) => Some(value.to_string()),
                Value::Int(value) => Some(value.to_string()),
                value => value.text().map(std::borrow::Cow::into_owned),
            },
        }
    }
}

/// Reads a condition.
pub fn parse(text: &str) -> ApiResult<Condition> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let condition = parser.condition()?;
    if parser.at < parser.tokens.len() { Err(syntax_error()) } else { Ok(condition) }
}

fn syntax_error() -> ApiError {
    ApiError::internal("Stdlib.Parsing.Parse_error")
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(char),
}

fn tokens(text: &str) -> ApiResult<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' | '=' => {
                tokens.push(Token::Sign(first));
                1
            }
            '"' | '\'' => {
                let end = rest[1..].find(first).ok_or_else(syntax_error)?;
                tokens.push(Token::Quoted(rest[1..=end].to_owned()));
                end + 2
            }
            _ => {
                let end = rest.find(|character: char| !character.is_ascii_alphabetic()).unwrap_or(rest.len());
                if end == 0 {
                    return Err(syntax_error());
                }
                tokens.push(Token::Word(rest[..end].to_owned()));
                end
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn condition(&mut self) -> ApiResult<Condition> {
        let mut left = self.operand()?;
        loop {
            let join = if self.accept_word("and") {
                Condition::And
            } else if self.accept_word("or") {
                Condition::Or
            } else {
                return Ok(left);
            };
            left = join(Box::new(left), Box::new(self.operand()?));
        }
    }

    fn operand(&mut self) -> ApiResult<Condition> {
        if self.accept_word("not") {
            // The loosest of all: it takes the rest of the condition with it.
            return Ok(Condition::Not(Box::new(self.condition()?)));
        }
        if self.accept_word("true") {
            return Ok(Condition::Constant(true));
        }
        if self.accept_word("false") {
            return Ok(Condition::Constant(false));
        }
        if self.accept(&Token::Sign('(')) {
            let inner = self.condition()?;
            return if self.accept(&Token::Sign(')')) { Ok(inner) } else { Err(syntax_error()) };
        }
        let left = self.term()?;
        if !self.accept(&Token::Sign('=')) {
            return Err(syntax_error());
        }
        Ok(Condition::Equal(left, self.term()?))
    }

    fn term(&mut self) -> ApiResult<Term> {
        let is_field = self.accept_word("field");
        match self.tokens.get(self.at) {
            Some(Token::Quoted(text)) => {
                self.at += 1;
                Ok(if is_field { Term::Field(text.clone()) } else { Term::Literal(text.clone()) })
            }
            _ => Err(syntax_error()),
        }
    }

    fn accept_word(&mut self, word: &str) -> bool {
        self.accept(&Token::Word(word.to_owned()))
    }

    fn accept(&mut self, token: &Token) -> bool {
        let found = self.tokens.get(self.at) == Some(token);
        self.at += usize::from(found);
        found
    }
}
