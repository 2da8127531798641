//! One file of the tree, split so that rules see code, comments and test code apart.
//!
//! This is no parser: it knows strings, comments and brackets, which is all the rules need, and
//! compiles in no time.
//!
//! # Invariants
//! - `code` and `comments` have as many lines as the text, each character in its column.
//! - What a string or character literal holds is in neither: it is `_` in `code`, so no rule takes
//!   a quoted word for the thing itself.

/// A text file of the tree.
pub(crate) struct Source {
    /// Path from the repository's top folder, with `/`.
    pub(crate) path: String,
    /// The lines as they are.
    pub(crate) lines: Vec<String>,
    /// The lines without comments and literals. Empty for what is no Rust.
    pub(crate) code: Vec<String>,
    /// The comments of each line, `//` and all. Empty for what is no Rust.
    pub(crate) comments: Vec<String>,
    /// Whether the line belongs to test code.
    test: Vec<bool>,
}

/// A word or a single other character of the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// The line, from 1.
    pub(crate) line: usize,
    /// The word or character.
    pub(crate) text: &'a str,
}

impl Source {
    /// Splits `text`.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let (code, comments) = if is_rust(path) { split(text) } else { Default::default() };
        let mut source =
            Self { path: path.to_owned(), test: vec![false; lines.len()], lines, code, comments };
        source.test = source.test_lines();
        source
    }

    /// Whether this is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        is_rust(&self.path)
    }

    /// Whether all of the file is test code, judged by its path.
    pub(crate) fn is_test_file(&self) -> bool {
        let (folders, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        name == "tests.rs" || folders.split('/').any(|f| f == "tests" || f == "benches")
    }

    /// Whether line `line` (from 1) is test code.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.test.get(line.wrapping_sub(1)).copied().unwrap_or(false)
    }

    /// The words and signs of the code.
    pub(crate) fn tokens(&self) -> Vec<Token<'_>> {
        let mut tokens = Vec::new();
        for (index, line) in self.code.iter().enumerate() {
            tokens_of_line(line, index + 1, &mut tokens);
        }
        tokens
    }

    /// Marks items under `#[cfg(test)]`, or every line of a test file.
    fn test_lines(&self) -> Vec<bool> {
        let mut test = vec![self.is_test_file(); self.lines.len()];
        let tokens = self.tokens();
        let mut rest = tokens.as_slice();
        while let Some((first, after)) = rest.split_first() {
            let length = attribute_length(rest);
            let attribute = rest.get(..length).unwrap_or_default();
            if is_cfg_test(attribute) {
                let item = rest.get(length..).unwrap_or_default();
                let last = item.get(item_length(item).saturating_sub(1)).unwrap_or(first);
                for line in first.line..=last.line {
                    if let Some(mark) = test.get_mut(line - 1) {
                        *mark = true;
                    }
                }
            }
            rest = after;
        }
        test
    }
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

/// Tokens of the attribute `#[...]` at the start of `tokens`; 0 where there is none.
fn attribute_length(tokens: &[Token<'_>]) -> usize {
    match tokens {
        [hash, open, ..] if hash.text == "#" && open.text == "[" => {
            1 + closing(tokens.get(1..).unwrap_or_default()).map_or(0, |at| at + 1)
        }
        _ => 0,
    }
}

fn is_cfg_test(attribute: &[Token<'_>]) -> bool {
    let mut words = attribute.iter().map(|token| token.text).filter(|text| is_word(text));
    words.next() == Some("cfg")
        && attribute.windows(3).any(|three| match three {
            [before, open, word] => {
                word.text == "test" && !(before.text == "not" && open.text == "(")
            }
            _ => false,
        })
}

/// Tokens up to the end of an item: its `;`, or the bracket that closes its body.
fn item_length(item: &[Token<'_>]) -> usize {
    let mut at = 0;
    while let Some(token) = item.get(at) {
        match token.text {
            ";" => return at + 1,
            "{" => {
                let body = item.get(at..).unwrap_or_default();
                return at + closing(body).map_or(body.len(), |end| end + 1);
            }
            "(" | "[" => {
                let group = item.get(at..).unwrap_or_default();
                at += closing(group).map_or(group.len(), |end| end + 1);
            }
            _ => at += 1,
        }
    }
    at
}

/// Where the bracket that `tokens` begins with is closed.
pub(crate) fn closing(tokens: &[Token<'_>]) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Whether `text` is an identifier, a keyword or a number.
pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(is_word_character)
}

fn is_word_character(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn tokens_of_line<'a>(line: &'a str, number: usize, tokens: &mut Vec<Token<'a>>) {
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = if is_word_character(first) {
            rest.find(|c| !is_word_character(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (text, after) = rest.split_at(end);
        tokens.push(Token { line: number, text });
        rest = after.trim_start();
    }
}

/// Where a character belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Comment,
    Literal,
}

/// Reads Rust text once and writes code and comments side by side.
struct Splitter<'a> {
    text: &'a [char],
    at: usize,
    code: String,
    comments: String,
}

fn split(text: &str) -> (Vec<String>, Vec<String>) {
    let text: Vec<char> = text.chars().collect();
    let mut splitter =
        Splitter { text: &text, at: 0, code: String::new(), comments: String::new() };
    while splitter.at < text.len() {
        splitter.step();
    }
    let lines = |text: String| text.lines().map(str::to_owned).collect();
    (lines(splitter.code), lines(splitter.comments))
}

impl Splitter<'_> {
    fn peek(&self, ahead: usize) -> char {
        self.text.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn take(&mut self, count: usize, part: Part) {
        for _ in 0..count {
            let c = self.peek(0);
            self.at += 1;
            let (code, comment) = match (c, part) {
                ('\n', _) => ('\n', '\n'),
                (_, Part::Code) => (c, ' '),
                (_, Part::Comment) => (' ', c),
                (_, Part::Literal) => ('_', ' '),
            };
            self.code.push(code);
            self.comments.push(comment);
        }
    }

    fn more(&self) -> bool {
        self.at < self.text.len()
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => {
                while self.more() && self.peek(0) != '\n' {
                    self.take(1, Part::Comment);
                }
            }
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(),
            ('\'', _) => self.quote(),
            (first, _) if is_word_character(first) => self.word(),
            _ => self.take(1, Part::Code),
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.more() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => {
                    depth += 1;
                    self.take(2, Part::Comment);
                }
                ('*', '/') => {
                    depth = depth.saturating_sub(1);
                    self.take(2, Part::Comment);
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.take(1, Part::Comment),
            }
        }
    }

    fn string(&mut self) {
        self.take(1, Part::Code);
        while self.more() {
            match self.peek(0) {
                '\\' => self.take(2, Part::Literal),
                '"' => return self.take(1, Part::Code),
                _ => self.take(1, Part::Literal),
            }
        }
    }

    /// A character literal, or the start of a lifetime.
    fn quote(&mut self) {
        let escaped = self.peek(1) == '\\';
        if !escaped && self.peek(2) != '\'' {
            return self.take(1, Part::Code);
        }
        self.take(1, Part::Code);
        self.take(if escaped { 2 } else { 1 }, Part::Literal);
        while self.more() && !matches!(self.peek(0), '\'' | '\n') {
            self.take(1, Part::Literal);
        }
        self.take(1, Part::Code);
    }

    /// A word; where it is the `r`, `br` or `cr` of a raw string, all of that string.
    fn word(&mut self) {
        let mut length = 0;
        while is_word_character(self.peek(length)) {
            length += 1;
        }
        let prefix: String = (0..length).map(|ahead| self.peek(ahead)).collect();
        let hashes = (length..).take_while(|&ahead| self.peek(ahead) == '#').count();
        let raw = matches!(prefix.as_str(), "r" | "br" | "cr");
        if !raw || self.peek(length + hashes) != '"' {
            return self.take(length, Part::Code);
        }
        self.take(length + hashes + 1, Part::Code);
        while self.more() {
            let ends = self.peek(0) == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == '#');
            if ends {
                return self.take(1 + hashes, Part::Code);
            }
            self.take(1, Part::Literal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::new("a.rs", text).code.join("\n")
    }

    #[test]
    fn literals_and_comments_leave_the_code() {
        for (text, expected) in [
            ("let a = \"unsafe {\"; // why", "let a = \"________\";       "),
            (r#"f("a\"b", 'x', '\'', '\u{41}')"#, r#"f("____", '_', '__', '______')"#),
            ("r#\"a\"b\"# + br\"\\\" + c", "r#\"___\"# + br\"_\" + c"),
            ("r#type: &'a str, '_', 'b: loop", "r#type: &'a str, '_', 'b: loop"),
            ("a /* x /* y */ z */ b", "a                   b"),
            ("\"one\n two\" end", "\"___\n____\" end"),
            ("b'\"' b\"\\\\\" x", "b'_' b\"__\" x"),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }

    #[test]
    fn comments_keep_their_columns() {
        let source = Source::new("a.rs", "x(); // \"why\"\n\"// no\"\n");
        assert_eq!(source.comments, ["     // \"why\"", "       "]);
    }

    #[test]
    fn tokens_are_words_and_single_signs() {
        let source = Source::new("a.rs", "a::b_1\n  (é)");
        let texts: Vec<_> = source.tokens().iter().map(|t| (t.line, t.text)).collect();
        let expected = [(1, "a"), (1, ":"), (1, ":"), (1, "b_1"), (2, "("), (2, "é"), (2, ")")];
        assert_eq!(texts, expected);
    }

    #[test]
    fn test_items_are_known() {
        let text = "fn a() {}\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n fn b() { }\n}\nfn c() {}\n\
                    #[cfg(all(test, not(loom)))]\nuse x;\nfn d() {}\n#[cfg(not(test))]\nfn e() {}\n\
                    #[cfg(test)] fn f(x: [u8; 4]) {\n}\nfn g() {}";
        let source = Source::new("src/a.rs", text);
        let test: Vec<_> = (1..=15).filter(|&line| source.is_test_line(line)).collect();
        assert_eq!(test, [2, 3, 4, 5, 6, 8, 9, 13, 14]);
    }

    #[test]
    fn test_files_are_known_by_path() {
        for path in ["tests/src/x.rs", "a/src/x/tests.rs", "a/tests/b/x.rs", "benches/x.rs"] {
            assert!(Source::new(path, "fn a() {}").is_test_line(1), "{path}");
        }
        assert!(!Source::new("src/attests.rs", "fn a() {}").is_test_line(1));
    }
}
