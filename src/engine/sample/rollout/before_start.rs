//! What first states read, drawn before them.

use super::Rollout;
use crate::engine::episode::values::Values;
use crate::engine::numeric::number::Number;
use crate::engine::program::compiled::CompiledProgram;
use crate::engine::sample::fault::Arose;
use rand_xoshiro::Xoshiro256PlusPlus;

impl<E: Number> Rollout<E> {
    /// Draws what the first states read.
    pub(in crate::engine) fn draw_before_start(
        &mut self,
        program: &CompiledProgram<E>,
        parameters: &[E],
        random: &mut Xoshiro256PlusPlus,
    ) {
        let all = self.size();
        if program.before_start.is_empty() {
            return;
        }
        self.work.origin.iter_mut().zip(0..).for_each(|(origin, row)| *origin = row);
        let Rollout { episodes, feeds, work, .. } = self;
        let last = program.draws.iter().zip(&episodes.draws).zip(&mut feeds.last);
        last.for_each(|((of, drawn), last)| drawn.read_last(of, 1, &work.origin, last));
        for (number, (draw, of)) in program.before_start.iter().enumerate() {
            self.read_earlier((program, &of.binding, parameters), 1, all);
            let Rollout { episodes, batch, feeds, .. } = self;
            let own = &mut episodes.before_start[number];
            let mut values = Values::default();
            let into = (&mut *own, &mut values);
            of.precede((&program.world, batch), parameters, feeds, into, random);
            feeds.first[*draw].clone_from(&values);
            feeds.drawn[*draw] = values;
            let broken = own.broken.take();
            self.is_broken(broken, Arose::Kernel, 1);
        }
    }
}
