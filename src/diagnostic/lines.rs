//! Which line of a text a byte stands in, found without reading the text anew for each.

/// Where the lines of a text begin.
pub struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub fn of(text: &str) -> Lines {
        let after = |(at, _): (usize, &str)| at + 1;
        Lines { starts: std::iter::once(0).chain(text.match_indices('\n').map(after)).collect() }
    }

    /// The number of the line that holds byte `at`, counted from 1, and where it begins.
    pub fn at(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at);
        (line, self.starts[line - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn a_byte_stands_in_the_line_that_begins_before_it() {
        let lines = Lines::of("ab\n\ncd\n");
        assert_eq!(
            [0, 2, 3, 4, 6, 7].map(|at| lines.at(at)),
            [(1, 0), (1, 0), (2, 3), (3, 4), (3, 4), (4, 7)]
        );
        assert_eq!(Lines::of("").at(0), (1, 0));
    }
}
