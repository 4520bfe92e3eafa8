//! Which nodes a trajectory can be in, and from which slice on: what is never met is never summed
//! over.

use super::trellis::Trellis;

/// The earliest slice of each node, and of each row that is taken; [`NEVER`] where there is none.
/// At every later slice it counts as met.
pub(super) struct Reach {
    /// By `memory · states + state`.
    pub node: Vec<u32>,
    /// By `memory · rows + row`, the memory that of the next step.
    pub row: Vec<u32>,
}

const NEVER: u32 = u32::MAX;

impl Reach {
    /// Through the dynamics `side` of a trellis, by every choice.
    pub fn new(trellis: &Trellis<'_>, side: usize) -> Reach {
        let dynamics = &trellis.dynamics[side];
        let sparse = &dynamics.table.transition;
        let (states, rows) = (trellis.states, sparse.rows());
        let mut reach =
            Reach { node: vec![NEVER; trellis.nodes()], row: vec![NEVER; trellis.memories * rows] };
        let starts = (0..states).filter(|&state| dynamics.initial[state] > 0.0);
        let mut frontier: Vec<usize> =
            starts.map(|state| trellis.first_memory * states + state).collect();
        frontier.iter().for_each(|&node| reach.node[node] = 1);
        let mut left = trellis.nodes() - frontier.len();
        for slice in 1..=trellis.horizon as u32 {
            let mut next = Vec::new();
            for node in frontier {
                let (memory, state) = (node / states, node % states);
                for choice in trellis.choices.start[state]..trellis.choices.start[state + 1] {
                    let (after, row) = trellis.choices.leads(memory, choice);
                    let known = &mut reach.row[after * rows + row];
                    if *known != NEVER {
                        continue;
                    }
                    *known = slice;
                    if left == 0 {
                        continue;
                    }
                    for &column in &sparse.column[sparse.start[row]..sparse.start[row + 1]] {
                        let node = after * states + column as usize;
                        if reach.node[node] == NEVER {
                            reach.node[node] = slice + 1;
                            left -= 1;
                            next.push(node);
                        }
                    }
                }
            }
            frontier = next;
        }
        reach
    }
}
