//! Texts near the corpus: a few changes to the tokens, lines and bytes of one of its files.

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::path::PathBuf;

/// Changes to a text at the most.
const CHANGES: u32 = 4;

/// What stands in the place of a token, beside tokens of other files: the ends of ranges, and what
/// is none.
const EXTREMES: [&str; 24] = [
    "0",
    "1",
    "-1",
    "2",
    "1e308",
    "1e-320",
    "-0.0",
    "9007199254740993",
    "4294967296",
    "1000000000",
    "0/0",
    "1/0",
    "log(0)",
    "none",
    "t",
    "T",
    "[]",
    "[..]",
    "true",
    "previous",
    "Uniform",
    "o[1]",
    "s[T+1]",
    "a[t-1]",
];

/// The files that cases are made of.
pub struct Corpus {
    texts: Vec<String>,
    tokens: Vec<String>,
}

impl Corpus {
    /// All model files below some folders, in the order of their names.
    pub fn read(folders: &[PathBuf]) -> Result<Corpus, String> {
        let mut paths = Vec::new();
        for folder in folders {
            let entries = std::fs::read_dir(folder)
                .map_err(|error| format!("{}: {error}", folder.display()))?;
            paths.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        }
        paths.retain(|path| path.extension().is_some_and(|end| end == "rlmodel"));
        paths.sort();
        let texts: Vec<String> =
            paths.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
        if texts.is_empty() {
            return Err("there is no model file in the corpus".to_owned());
        }
        let mut tokens: Vec<String> =
            texts.iter().flat_map(|text| tokens(text)).map(str::to_owned).collect();
        tokens.retain(|token| !token.trim().is_empty());
        tokens.sort();
        tokens.dedup();
        Ok(Corpus { texts, tokens })
    }

    /// The text of a case.
    pub fn case(&self, seed: u64, number: u64) -> String {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed.rotate_left(32) ^ number);
        let mut text = self.texts[random.random_range(0..self.texts.len())].clone();
        for _ in 0..random.random_range(1..=CHANGES) {
            text = self.change(&text, &mut random);
        }
        text
    }

    fn change(&self, text: &str, random: &mut Xoshiro256PlusPlus) -> String {
        match random.random_range(0..10u32) {
            0..6 => self.change_token(text, random),
            6..9 => self.change_line(text, random),
            _ => change_byte(text, random),
        }
    }

    fn change_token(&self, text: &str, random: &mut Xoshiro256PlusPlus) -> String {
        let mut list = tokens(text);
        let words: Vec<usize> = (0..list.len()).filter(|&at| !list[at].trim().is_empty()).collect();
        let Some(&at) = pick(&words, random) else { return text.to_owned() };
        match random.random_range(0..8u32) {
            0 => {
                list.remove(at);
            }
            1 => list.insert(at, list[at]),
            2 => {
                let other = words[random.random_range(0..words.len())];
                list.swap(at, other);
            }
            3 => list[at] = EXTREMES[random.random_range(0..EXTREMES.len())],
            // a name for a name, a number for a number: what still means something goes further
            4..7 => {
                let kind = kind(list[at]);
                let alike: Vec<&str> = words
                    .iter()
                    .map(|&at| list[at])
                    .filter(|token| self::kind(token) == kind)
                    .collect();
                if let Some(&other) = pick(&alike, random) {
                    list[at] = other;
                }
            }
            _ => list[at] = &self.tokens[random.random_range(0..self.tokens.len())],
        }
        list.concat()
    }

    fn change_line(&self, text: &str, random: &mut Xoshiro256PlusPlus) -> String {
        let mut lines: Vec<&str> = text.lines().collect();
        if lines.is_empty() {
            return text.to_owned();
        }
        let at = random.random_range(0..lines.len());
        match random.random_range(0..4u32) {
            0 => {
                lines.remove(at);
            }
            1 => lines.insert(at, lines[at]),
            2 => {
                let other = random.random_range(0..lines.len());
                lines.swap(at, other);
            }
            _ => {
                let other: Vec<&str> =
                    self.texts[random.random_range(0..self.texts.len())].lines().collect();
                if let Some(line) = pick(&other, random) {
                    lines.insert(at, line);
                }
            }
        }
        lines.join("\n") + "\n"
    }
}

fn change_byte(text: &str, random: &mut Xoshiro256PlusPlus) -> String {
    let mut bytes = text.as_bytes().to_vec();
    if bytes.is_empty() {
        return "model".to_owned();
    }
    let at = random.random_range(0..bytes.len());
    match random.random_range(0..3u32) {
        0 => bytes[at] = random.random(),
        1 => bytes.truncate(at),
        _ => bytes.insert(at, random.random()),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[derive(PartialEq, Clone, Copy)]
enum Kind {
    Name,
    Number,
    Other,
}

fn kind(token: &str) -> Kind {
    match token.chars().next() {
        Some(first) if first.is_ascii_digit() => Kind::Number,
        Some(first) if first.is_alphabetic() => Kind::Name,
        Some(_) | None => Kind::Other,
    }
}

fn pick<'a, T>(list: &'a [T], random: &mut Xoshiro256PlusPlus) -> Option<&'a T> {
    (!list.is_empty()).then(|| &list[random.random_range(0..list.len())])
}

/// Words, numbers, runs of white space, and every other character by itself; together they are the
/// text.
fn tokens(text: &str) -> Vec<&str> {
    let class = |c: char| match c {
        c if c.is_alphanumeric() || c == '_' || c == '.' => 1,
        c if c.is_whitespace() => 2,
        _ => 0,
    };
    let mut list = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (at, c) in text.char_indices() {
        let this = class(c);
        if last.is_some_and(|last| last != this || this == 0) {
            list.push(&text[start..at]);
            start = at;
        }
        last = Some(this);
    }
    if start < text.len() {
        list.push(&text[start..]);
    }
    list
}
