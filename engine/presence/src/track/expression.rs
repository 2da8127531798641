//! Which ticks are meant: an expression over classes.
//!
//! # Invariants
//! - Every tick an expression holds was observed. So is every tick of its complement: a tick that
//!   nobody looked at is neither present nor absent.
//! - At most [`DEPTH_MAX`] deep, whoever made it: what is deeper is told when it is asked.
//! - What is displayed reads back as the same expression.

use std::ops::{BitAnd, BitOr, Not};

use super::parser;
use crate::error::Error;

/// How deep an expression may be.
pub(crate) const DEPTH_MAX: usize = 128;

/// An expression over classes: `&`, `|`, `!`, in Rust and as text.
///
/// A class alone means the ticks at which it was seen. `!staff` means the ticks that were
/// **observed** and at which `staff` was not seen; ticks that nobody observed belong to neither, so
/// `person | !person` is what was observed.
///
/// As text, `!` binds closest, then `&`, then `|`; `not`, `and` and `or` are the same. Classes are
/// names or numbers; a name with spaces, one that begins with a digit, or one that is a word of the
/// language stands in quotes, with `\` before a quote or `\` inside.
///
/// ```
/// use presence::{Expression, class};
///
/// let in_rust = class("person") & !class("staff") | class(3);
/// let as_text: Expression = "person & !staff | 3".parse()?;
/// assert_eq!(in_rust, as_text);
/// assert_eq!(as_text.to_string(), "person & !staff | 3");
/// assert_eq!("a and not (b or 'traffic light')".parse::<Expression>()?.to_string(),
///            r#"a & !(b | "traffic light")"#);
/// # Ok::<(), presence::ExpressionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expression {
    pub(crate) node: Node,
    depth: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    Class(ClassRef),
    Not(Box<Expression>),
    /// At least two, none of them an `And`.
    And(Vec<Expression>),
    /// At least two, none of them an `Or`.
    Or(Vec<Expression>),
    /// Refused when it is asked.
    TooDeep,
}

/// A class by its number or its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClassRef {
    /// By number.
    Id(u16),
    /// By name.
    Name(String),
}

impl From<u16> for ClassRef {
    fn from(id: u16) -> Self {
        Self::Id(id)
    }
}

impl From<&str> for ClassRef {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<String> for ClassRef {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

/// The ticks at which a class was seen.
pub fn class(class: impl Into<ClassRef>) -> Expression {
    Expression { node: Node::Class(class.into()), depth: 1 }
}

impl<C: Into<ClassRef>> From<C> for Expression {
    fn from(of: C) -> Self {
        class(of)
    }
}

impl Expression {
    /// `node`, unless that were too deep.
    fn over(node: Node, depth: usize) -> Self {
        let node = if depth > DEPTH_MAX { Node::TooDeep } else { node };
        Self { node, depth: depth.min(DEPTH_MAX + 1) }
    }

    /// Whether any class that it names is one that `is` holds of.
    pub(crate) fn names_any(&self, is: &impl Fn(&ClassRef) -> bool) -> bool {
        match &self.node {
            Node::Class(class) => is(class),
            Node::Not(inner) => inner.names_any(is),
            Node::And(list) | Node::Or(list) => list.iter().any(|inner| inner.names_any(is)),
            Node::TooDeep => false,
        }
    }

    /// Whether any part of it is a complement: then it asks what was observed, too.
    pub(crate) fn has_complement(&self) -> bool {
        match &self.node {
            Node::Not(_) => true,
            Node::And(list) | Node::Or(list) => list.iter().any(Self::has_complement),
            Node::Class(_) | Node::TooDeep => false,
        }
    }

    pub(crate) const fn is_too_deep(&self) -> bool {
        matches!(self.node, Node::TooDeep)
    }

    /// Joins lists of the same operator into one, so that long ones are not deep.
    fn joined(
        self,
        other: Self,
        open: impl Fn(Node) -> Result<Vec<Self>, Node>,
        close: impl Fn(Vec<Self>) -> Node,
    ) -> Self {
        if self.is_too_deep() || other.is_too_deep() {
            return Self::over(Node::TooDeep, DEPTH_MAX + 1);
        }
        let list = |expression: Self| {
            let depth = expression.depth;
            open(expression.node)
                .map_or_else(|node| (vec![Self { node, depth }], depth + 1), |list| (list, depth))
        };
        let ((mut all, own), (others, depth)) = (list(self), list(other));
        all.extend(others);
        let depth = own.max(depth);
        Self::over(close(all), depth)
    }
}

impl BitAnd for Expression {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        let open = |node| if let Node::And(list) = node { Ok(list) } else { Err(node) };
        self.joined(other, open, Node::And)
    }
}

impl BitOr for Expression {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        let open = |node| if let Node::Or(list) = node { Ok(list) } else { Err(node) };
        self.joined(other, open, Node::Or)
    }
}

impl Not for Expression {
    type Output = Self;

    fn not(self) -> Self {
        let depth = self.depth + 1;
        if self.is_too_deep() { self } else { Self::over(Node::Not(Box::new(self)), depth) }
    }
}

impl std::fmt::Display for ClassRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write;
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) if parser::is_bare(name) => f.write_str(name),
            Self::Name(name) => {
                f.write_char('"')?;
                for c in name.chars() {
                    if matches!(c, '"' | '\\') {
                        f.write_char('\\')?;
                    }
                    f.write_char(c)?;
                }
                f.write_char('"')
            }
        }
    }
}

impl std::fmt::Display for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |f: &mut std::fmt::Formatter<'_>, list: &[Self], sign: &str| {
            for (index, part) in list.iter().enumerate() {
                if index > 0 {
                    f.write_str(sign)?;
                }
                match part.node {
                    Node::Or(_) => write!(f, "({part})")?,
                    _ => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match &self.node {
            Node::Class(class) => write!(f, "{class}"),
            Node::Not(inner) => match inner.node {
                Node::And(_) | Node::Or(_) => write!(f, "!({inner})"),
                _ => write!(f, "!{inner}"),
            },
            Node::And(parts) => list(f, parts, " & "),
            Node::Or(parts) => list(f, parts, " | "),
            Node::TooDeep => f.write_str("(too deep)"),
        }
    }
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column} of the expression: {kind}")]
pub struct ExpressionError {
    /// Where: the first character is column 1.
    pub column: usize,
    /// What is wrong there.
    pub kind: ExpressionErrorKind,
}

/// What is wrong with the text of an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressionErrorKind {
    /// Something else than a class, `!` or `(`.
    #[error("a class, `!` or `(` belongs here, not {found}")]
    NoClass {
        /// What is there instead.
        found: String,
    },
    /// Two operands without an operator between them.
    #[error("`&` or `|` belongs here, not {found}; a name with spaces stands in quotes")]
    NoOperator {
        /// What is there instead.
        found: String,
    },
    /// A parenthesis that nothing closes.
    #[error("this `(` is never closed")]
    OpenParenthesis,
    /// A parenthesis that nothing opens.
    #[error("this `)` was never opened")]
    StrayParenthesis,
    /// A quote that nothing closes.
    #[error("this quote is never closed")]
    OpenQuote,
    /// A name of no characters.
    #[error("a class has a name")]
    EmptyName,
    /// A number that is no class.
    #[error("{number} is no class; they are numbered 0 to 65535")]
    ClassTooLarge {
        /// The number.
        number: String,
    },
    /// A name that begins with a digit, without quotes.
    #[error(
        "{word} is neither a number nor a name; a name that begins with a digit stands in quotes"
    )]
    DigitFirst {
        /// The word.
        word: String,
    },
    /// Nested too deep.
    #[error("nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// A text that is too long.
    #[error("the text has more than {max_bytes} bytes")]
    TooLong {
        /// The limit.
        max_bytes: usize,
    },
}

impl From<ExpressionError> for Error {
    fn from(error: ExpressionError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl std::str::FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        parser::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn any_expression(
        leaf: impl Strategy<Value = Expression> + 'static,
    ) -> impl Strategy<Value = Expression> {
        leaf.prop_recursive(5, 24, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|inner| !inner),
                prop::collection::vec(inner.clone(), 2..4)
                    .prop_map(|all| all.into_iter().reduce(|a, b| a & b).unwrap()),
                prop::collection::vec(inner, 2..4)
                    .prop_map(|all| all.into_iter().reduce(|a, b| a | b).unwrap()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_displayed_reads_back(
            expression in any_expression(prop_oneof![
                any::<u16>().prop_map(class),
                "[a-z]{1,3}|and|OR|not|3d|\\PC{1,5}|\"| ".prop_map(class),
            ])
        ) {
            let text = expression.to_string();
            prop_assert_eq!(text.parse::<Expression>().unwrap(), expression, "{}", text);
        }
    }

    #[test]
    fn long_is_not_deep_and_deep_is_told() {
        let long = (0..5000).map(class).reduce(|a, b| a | b).unwrap();
        assert_eq!(long.depth, 2);
        let right = (0..5000).map(class).reduce(|a, b| b | a).unwrap();
        assert_eq!(right.to_string().parse::<Expression>().unwrap(), right);
        let deep =
            (0..100_000).fold(class(0), |deep, id| (deep | class(1)) & class((id % 9) as u16));
        assert!(deep.is_too_deep());
        assert!((!deep.clone() & class(1)).is_too_deep() && (class(1) | deep).is_too_deep());
        let most = (1..DEPTH_MAX).fold(class(0), |deep, _| !deep);
        assert!(!most.is_too_deep() && (!most.clone()).is_too_deep());
        assert_eq!(most.to_string().parse::<Expression>().unwrap(), most);
    }
}
