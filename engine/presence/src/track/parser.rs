//! Expressions from text.
//!
//! # Invariants
//! - Never panics, never recurses deeper than [`DEPTH_MAX`], whatever the text.
//! - Every error names the column of what is wrong, counted in characters from 1.

use super::expression::{DEPTH_MAX, Expression, ExpressionError, ExpressionErrorKind, class};

/// Most bytes of a text.
const TEXT_BYTES_MAX: usize = 65_536;

type Result<T> = std::result::Result<T, ExpressionError>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    And,
    Or,
    Not,
    Open,
    Close,
    Class(Expression),
    Other(char),
    End,
}

impl Token {
    fn describe(&self) -> String {
        match self {
            Self::And => "`&`".to_owned(),
            Self::Or => "`|`".to_owned(),
            Self::Not => "`!`".to_owned(),
            Self::Open => "`(`".to_owned(),
            Self::Close => "`)`".to_owned(),
            Self::Class(class) => format!("`{class}`"),
            Self::Other(c) => format!("`{c}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

fn is_name_start(c: char) -> bool {
    c == '_' || (c.is_alphanumeric() && !c.is_ascii_digit())
}

fn is_name(c: char) -> bool {
    is_name_start(c) || c.is_ascii_digit() || matches!(c, '-' | '.')
}

/// Whether a name needs no quotes.
pub(crate) fn is_bare(name: &str) -> bool {
    name.starts_with(is_name_start) && name.chars().all(is_name) && operator(name).is_none()
}

/// The operator that a word means.
fn operator(word: &str) -> Option<Token> {
    [("and", Token::And), ("or", Token::Or), ("not", Token::Not)]
        .into_iter()
        .find_map(|(name, token)| name.eq_ignore_ascii_case(word).then_some(token))
}

pub(crate) fn parse(text: &str) -> Result<Expression> {
    if text.len() > TEXT_BYTES_MAX {
        let kind = ExpressionErrorKind::TooLong { max_bytes: TEXT_BYTES_MAX };
        return Err(ExpressionError { column: 1, kind });
    }
    let mut parser = Parser { rest: text, column: 1, token: Token::End, token_column: 1, depth: 0 };
    parser.advance()?;
    let expression = parser.or()?;
    match parser.token {
        Token::End => Ok(expression),
        Token::Close => Err(parser.fault(ExpressionErrorKind::StrayParenthesis)),
        ref token => Err(parser.fault(ExpressionErrorKind::NoOperator { found: token.describe() })),
    }
}

struct Parser<'a> {
    rest: &'a str,
    /// Of the first character of `rest`.
    column: usize,
    token: Token,
    token_column: usize,
    depth: usize,
}

impl Parser<'_> {
    fn fault(&self, kind: ExpressionErrorKind) -> ExpressionError {
        ExpressionError { column: self.token_column, kind }
    }

    /// Takes the next character.
    fn take(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        self.column += 1;
        Some(c)
    }

    /// Takes characters while `wanted` holds.
    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.rest.chars().next().filter(|&c| wanted(c)) {
            taken.push(c);
            self.take();
        }
        taken
    }

    /// Reads the next token.
    fn advance(&mut self) -> Result<()> {
        self.take_while(char::is_whitespace);
        self.token_column = self.column;
        self.token = match self.rest.chars().next() {
            None => Token::End,
            Some(c) if is_name(c) && !matches!(c, '-' | '.') => self.word()?,
            Some(c) => {
                self.take();
                match c {
                    '&' => Token::And,
                    '|' => Token::Or,
                    '!' => Token::Not,
                    '(' => Token::Open,
                    ')' => Token::Close,
                    '"' | '\'' => self.quoted(c)?,
                    other => Token::Other(other),
                }
            }
        };
        Ok(())
    }

    /// A bare name, a number, or an operator in letters.
    fn word(&mut self) -> Result<Token> {
        let word = self.take_while(is_name);
        if let Some(operator) = operator(&word) {
            return Ok(operator);
        }
        if word.starts_with(is_name_start) {
            return Ok(Token::Class(class(word)));
        }
        if !word.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.fault(ExpressionErrorKind::DigitFirst { word }));
        }
        match word.parse::<u16>() {
            Ok(id) => Ok(Token::Class(class(id))),
            Err(_) => Err(self.fault(ExpressionErrorKind::ClassTooLarge { number: word })),
        }
    }

    /// The rest of a name in quotes.
    fn quoted(&mut self, quote: char) -> Result<Token> {
        let mut name = String::new();
        loop {
            let c = match self.take() {
                Some('\\') => self.take(),
                Some(c) if c == quote => break,
                c => c,
            };
            name.push(c.ok_or_else(|| self.fault(ExpressionErrorKind::OpenQuote))?);
        }
        if name.is_empty() {
            return Err(self.fault(ExpressionErrorKind::EmptyName));
        }
        Ok(Token::Class(class(name)))
    }

    fn or(&mut self) -> Result<Expression> {
        let mut all = self.and()?;
        while self.token == Token::Or {
            self.advance()?;
            all = self.sound(|parser| Ok(all | parser.and()?))?;
        }
        Ok(all)
    }

    fn and(&mut self) -> Result<Expression> {
        let mut all = self.operand()?;
        while self.token == Token::And {
            self.advance()?;
            all = self.sound(|parser| Ok(all & parser.operand()?))?;
        }
        Ok(all)
    }

    /// What `read` makes, unless that is too deep.
    fn sound(&mut self, read: impl FnOnce(&mut Self) -> Result<Expression>) -> Result<Expression> {
        let column = self.token_column;
        let expression = read(self)?;
        if expression.is_too_deep() {
            return Err(ExpressionError { column, kind: ExpressionErrorKind::TooDeep });
        }
        Ok(expression)
    }

    fn operand(&mut self) -> Result<Expression> {
        let column = self.token_column;
        match std::mem::replace(&mut self.token, Token::End) {
            Token::Class(class) => {
                self.advance()?;
                Ok(class)
            }
            Token::Not => {
                self.advance()?;
                self.sound(|parser| parser.nested(column, |parser| Ok(!parser.operand()?)))
            }
            Token::Open => {
                self.advance()?;
                let inner = self.nested(column, Self::or)?;
                match self.token {
                    Token::Close => self.advance()?,
                    Token::End => {
                        let kind = ExpressionErrorKind::OpenParenthesis;
                        return Err(ExpressionError { column, kind });
                    }
                    ref token => {
                        let found = token.describe();
                        return Err(self.fault(ExpressionErrorKind::NoOperator { found }));
                    }
                }
                Ok(inner)
            }
            token => Err(self.fault(ExpressionErrorKind::NoClass { found: token.describe() })),
        }
    }

    fn nested(
        &mut self,
        column: usize,
        read: impl FnOnce(&mut Self) -> Result<Expression>,
    ) -> Result<Expression> {
        if self.depth >= DEPTH_MAX {
            return Err(ExpressionError { column, kind: ExpressionErrorKind::TooDeep });
        }
        self.depth += 1;
        let inner = read(self);
        self.depth -= 1;
        inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ExpressionErrorKind as Kind;
    use proptest::prelude::*;

    fn same(text: &str, want: &str) {
        let expression = text.parse::<Expression>().unwrap();
        assert_eq!(expression.to_string(), want, "{text}");
    }

    #[test]
    fn texts_are_read() {
        same("person & !staff | vehicle", "person & !staff | vehicle");
        same("a|b&c", "a | b & c");
        same("(a|b)&c", "(a | b) & c");
        same("a and not b OR 3", "a & !b | 3");
        same("!(a & b) & !!c", "!(a & b) & !!c");
        same("((a))", "a");
        same("a | (b | (c | d))", "a | b | c | d");
        same("'traffic light' & \"x \\\" y\"", r#""traffic light" & "x \" y""#);
        same("'and' | 'Not'", r#""and" | "Not""#);
        same("bus-stop & v1.2 & straße & 人", "bus-stop & v1.2 & straße & 人");
        same("00007", "7");
        same("'7'", "\"7\"");
    }

    #[test]
    fn errors_name_the_column() {
        let found = |found: &str| found.to_owned();
        for (text, column, kind) in [
            ("", 1, Kind::NoClass { found: found("the end") }),
            ("a &", 4, Kind::NoClass { found: found("the end") }),
            ("a && b", 4, Kind::NoClass { found: found("`&`") }),
            ("a b", 3, Kind::NoOperator { found: found("`b`") }),
            ("traffic light & a", 9, Kind::NoOperator { found: found("`light`") }),
            ("(a b)", 4, Kind::NoOperator { found: found("`b`") }),
            ("a & (b | c", 5, Kind::OpenParenthesis),
            ("a) & b", 2, Kind::StrayParenthesis),
            ("é & 'b", 5, Kind::OpenQuote),
            ("é & 'b\\", 5, Kind::OpenQuote),
            ("a | ''", 5, Kind::EmptyName),
            ("a | 65536", 5, Kind::ClassTooLarge { number: found("65536") }),
            ("a | 3d", 5, Kind::DigitFirst { word: found("3d") }),
            ("a | #", 5, Kind::NoClass { found: found("`#`") }),
            ("not", 4, Kind::NoClass { found: found("the end") }),
            ("()", 2, Kind::NoClass { found: found("`)`") }),
        ] {
            let error = text.parse::<Expression>().unwrap_err();
            assert_eq!((error.column, error.kind), (column, kind), "{text}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let error = format!("{}a", "!".repeat(1000)).parse::<Expression>().unwrap_err();
        assert_eq!(error.kind, Kind::TooDeep);
        let error = "(".repeat(1000).parse::<Expression>().unwrap_err();
        assert_eq!((error.column, error.kind), (DEPTH_MAX + 1, Kind::TooDeep));
        let error = "((a&b)|c)&".repeat(6).parse::<Expression>().unwrap_err();
        assert_eq!(error.column, 61);
        let error = "a|".repeat(40_000).parse::<Expression>().unwrap_err();
        assert!(matches!(error.kind, Kind::TooLong { .. }));
        assert!(crate::Error::from(error).to_string().contains("column 1"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-c&|!()'\"\\\\ 0-9é]{0,30}|\\PC{0,30}") {
            if let Ok(expression) = text.parse::<Expression>() {
                prop_assert_eq!(expression.to_string().parse::<Expression>().unwrap(), expression);
            }
        }
    }
}
