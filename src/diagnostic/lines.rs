//! Which line and column of a text a byte stands in, found without reading the text anew for each.

/// Where the lines of a text begin, and how many characters stand before each of its blocks.
pub struct Lines {
    starts: Vec<usize>,
    /// At `k` the characters that begin in the first `k` blocks.
    characters: Vec<usize>,
}

/// Bytes of a block: so many at most are read for a column, however long its line.
const BLOCK: usize = 256;

impl Lines {
    pub fn of(text: &str) -> Lines {
        let after = |(at, _): (usize, &str)| at + 1;
        let mut characters = vec![0];
        for block in text.as_bytes().chunks(BLOCK) {
            characters.push(characters.last().copied().unwrap_or(0) + begun(block));
        }
        Lines {
            starts: std::iter::once(0).chain(text.match_indices('\n').map(after)).collect(),
            characters,
        }
    }

    /// The number of the line that holds byte `at`, counted from 1, and where it begins.
    pub fn at(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at);
        (line, self.starts[line - 1])
    }

    /// Where the line that holds byte `at` of `text` ends, before its line end.
    pub fn end(&self, text: &str, at: usize) -> usize {
        let line = self.starts.partition_point(|start| *start <= at);
        self.starts.get(line).map_or(text.len(), |next| next - 1)
    }

    /// The column of byte `at` of `text` in its line, in characters from 1.
    pub fn column(&self, text: &str, at: usize) -> usize {
        1 + self.before(text, at) - self.before(text, self.at(at).1)
    }

    fn before(&self, text: &str, at: usize) -> usize {
        let block = at / BLOCK;
        self.characters[block] + begun(&text.as_bytes()[block * BLOCK..at])
    }
}

/// How many characters begin in some bytes of a text.
fn begun(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte & 0xc0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn a_byte_stands_in_the_line_that_begins_before_it() {
        let text = "ab\n\ncd\n";
        let lines = Lines::of(text);
        assert_eq!(
            [0, 2, 3, 4, 6, 7].map(|at| lines.at(at)),
            [(1, 0), (1, 0), (2, 3), (3, 4), (3, 4), (4, 7)]
        );
        assert_eq!([0, 2, 3, 4, 6, 7].map(|at| lines.end(text, at)), [2, 2, 3, 6, 6, 7]);
        assert_eq!(Lines::of("").at(0), (1, 0));
    }

    #[test]
    fn columns_are_those_of_a_count_of_characters() {
        let text = "aπ∑😀 ".repeat(100) + "\n" + &"öx".repeat(300);
        let lines = Lines::of(&text);
        for (at, _) in text.char_indices().chain([(text.len(), ' ')]) {
            let (_, start) = lines.at(at);
            assert_eq!(lines.column(&text, at), 1 + text[start..at].chars().count(), "{at}");
        }
    }
}
