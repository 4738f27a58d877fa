//! Rust text with comments and the contents of strings blanked, byte for byte in place, so that a
//! rule may search the rest without being fooled. Knows nested comments, raw strings, byte and C
//! strings, and tells a character from a lifetime. It does not parse: macros stay text.

use std::ops::Range;

/// The scanned text of one file.
pub struct Scan {
    /// As long as the source; comments and string contents are spaces, line ends and quotes stay.
    pub code: String,
    line_starts: Vec<usize>,
    test_lines: Vec<Range<usize>>,
}

impl Scan {
    /// Scans `source`.
    pub fn new(source: &str) -> Self {
        let code = blank(source);
        let ends = source.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(ends).collect();
        let mut scan = Self {
            code,
            line_starts,
            test_lines: Vec::new(),
        };
        scan.test_lines = scan.find_tests();
        scan
    }

    /// The line, from 1, that holds the byte at `at`.
    pub fn line_of(&self, at: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= at)
    }

    /// True when `line` lies in an item under `#[test]` or `#[cfg(test)]`.
    pub fn is_test_line(&self, line: usize) -> bool {
        self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// Where `word` stands on its own, not as a part of a longer name.
    pub fn words<'scan>(&'scan self, word: &'scan str) -> impl Iterator<Item = usize> + 'scan {
        self.code
            .match_indices(word)
            .map(|(at, _)| at)
            .filter(move |&at| {
                let before = self.code[..at].chars().next_back();
                let after = self.code[at + word.len()..].chars().next();
                !before.is_some_and(is_name) && !after.is_some_and(is_name)
            })
    }

    /// The `{ … }` that opens at the first brace after `from` outside brackets, as a byte range that
    /// includes both braces; `None` when a `;` comes first.
    pub fn body(&self, from: usize) -> Option<Range<usize>> {
        let bytes = self.code.as_bytes();
        let mut depth = 0_usize;
        let mut open = None;
        for (at, &byte) in bytes.iter().enumerate().skip(from) {
            match byte {
                b';' if depth == 0 => return None,
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth = depth.saturating_sub(1),
                b'{' => {
                    if depth == 0 && open.is_none() {
                        open = Some(at);
                    }
                    depth += 1;
                }
                b'}' => {
                    depth = depth.saturating_sub(1);
                    if let Some(open) = open.filter(|_| depth == 0) {
                        return Some(open..at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn find_tests(&self) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for mark in ["#[test]", "#[cfg(test)]", "#[cfg(all(test"] {
            for (at, _) in self.code.match_indices(mark) {
                // A braceless item (`mod tests;`) has its lines elsewhere.
                if let Some(body) = self.body(at + mark.len()) {
                    found.push(self.line_of(at)..self.line_of(body.end - 1) + 1);
                }
            }
        }
        if self.code.contains("#![cfg(test)]") {
            found.push(0..usize::MAX);
        }
        found
    }
}

/// True for what a name may hold.
pub fn is_name(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

/// Blanks comments and string contents. The result has the length and the lines of `source`.
fn blank(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        let keep = Token::at(rest, out.chars().next_back());
        match keep {
            Token::Plain(len) => out.push_str(&rest[..len]),
            Token::Comment(len) => push_blank(&mut out, &rest[..len]),
            Token::Text { open, len, close } => {
                out.push_str(&rest[..open]);
                push_blank(&mut out, &rest[open..len - close]);
                out.push_str(&rest[len - close..len]);
            }
        }
        at += keep.len();
    }
    out
}

fn push_blank(out: &mut String, text: &str) {
    out.extend(
        text.bytes()
            .map(|byte| if byte == b'\n' { '\n' } else { ' ' }),
    );
}

/// What stands at the start of a piece of source. Lengths are in bytes.
#[derive(Clone, Copy)]
enum Token {
    Plain(usize),
    Comment(usize),
    /// `open` and `close` are the lengths of the delimiters, `len` that of the whole literal.
    Text {
        open: usize,
        len: usize,
        close: usize,
    },
}

impl Token {
    fn at(rest: &str, before: Option<char>) -> Self {
        let first = rest.chars().next().unwrap_or(' ');
        match first {
            '/' if rest.starts_with("//") => Self::Comment(rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => Self::Comment(nested_comment(rest)),
            '"' => Self::escaped(rest, 1, '"'),
            '\'' => Self::letter(rest),
            'r' | 'b' | 'c' if !before.is_some_and(is_name) => Self::prefixed(rest),
            _ => Self::Plain(first.len_utf8()),
        }
    }

    /// A literal with a prefix (`r"`, `br#"`, `b'`, `c"` …), or the start of a plain name.
    fn prefixed(rest: &str) -> Self {
        for prefix in ["br", "cr", "r"] {
            if let Some(tail) = rest.strip_prefix(prefix) {
                let hashes = tail.bytes().take_while(|&byte| byte == b'#').count();
                if tail[hashes..].starts_with('"') {
                    let open = prefix.len() + hashes + 1;
                    let end = format!("\"{}", "#".repeat(hashes));
                    let len = rest[open..]
                        .find(&end)
                        .map_or(rest.len(), |to| open + to + end.len());
                    return Self::Text {
                        open,
                        len,
                        close: end.len().min(len - open),
                    };
                }
            }
        }
        match rest.as_bytes().get(1) {
            Some(b'"') if !rest.starts_with('r') => Self::escaped(rest, 2, '"'),
            Some(b'\'') if rest.starts_with('b') => Self::escaped(rest, 2, '\''),
            _ => Self::Plain(1),
        }
    }

    /// A literal whose backslashes escape.
    fn escaped(rest: &str, open: usize, end: char) -> Self {
        let mut skip = false;
        for (at, letter) in rest[open..].char_indices() {
            match letter {
                _ if skip => skip = false,
                '\\' => skip = true,
                _ if letter == end => {
                    return Self::Text {
                        open,
                        len: open + at + 1,
                        close: 1,
                    };
                }
                _ => {}
            }
        }
        Self::Text {
            open,
            len: rest.len(),
            close: 0,
        }
    }

    /// A character literal, or the quote of a lifetime.
    fn letter(rest: &str) -> Self {
        let mut letters = rest.chars().skip(1);
        match (letters.next(), letters.next()) {
            (Some('\\'), _) | (Some(_), Some('\'')) => Self::escaped(rest, 1, '\''),
            _ => Self::Plain(1),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Plain(len) | Self::Comment(len) | Self::Text { len, .. } => len,
        }
    }
}

fn nested_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::Scan;

    /// Proves that comments and strings of every kind vanish while code and lines stay in place.
    #[test]
    fn blanks_comments_and_strings() {
        let cases = [
            ("a // std::fs\nb", "a           \nb"),
            ("/* a /* b */ c */ d", "                  d"),
            (r#"f("a\"b") g"#, r#"f("    ") g"#),
            ("r#\"a\"b\"# c", "r#\"   \"# c"),
            ("br\"x\" c\"y\" b'z' b\"w\"", "br\" \" c\" \" b' ' b\" \""),
            (
                "fn f<'a>(x: &'a u8) -> char { 'x' }",
                "fn f<'a>(x: &'a u8) -> char { ' ' }",
            ),
            (r"['\'', '\\', '/']", r"['  ', '  ', ' ']"),
            ("r#type = 1; her\"x\"", "r#type = 1; her\" \""),
            ("\"é\"x", "\"  \"x"),
        ];
        for (source, expected) in cases {
            assert_eq!(Scan::new(source).code, expected, "{source}");
        }
    }

    /// Proves that a brace inside a string does not end a test module.
    #[test]
    fn finds_the_lines_of_tests() {
        let scan =
            Scan::new("fn a() {}\n#[cfg(test)]\nmod t {\n  const C: &str = \"}\";\n}\nfn b() {}\n");
        let tests: Vec<usize> = (1..7).filter(|&line| scan.is_test_line(line)).collect();
        assert_eq!(tests, [2, 3, 4, 5]);
    }
}
