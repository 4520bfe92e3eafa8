//! Running means and deviations: of the inputs that networks see normalised, and of what a baseline
//! is fitted to.

/// Sums of a batch, by component; in `f64`, in the order of the rows.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Sums {
    pub count: f64,
    pub sum: Vec<f64>,
    pub squares: Vec<f64>,
}

/// Count, mean and sum of squared differences of all that was seen (Welford 1962; Chan, Golub and
/// LeVeque 1979).
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::engine) struct Moments {
    count: f64,
    mean: Vec<f64>,
    spread: Vec<f64>,
}

impl Sums {
    pub fn clear(&mut self, components: usize) {
        self.count = 0.0;
        for list in [&mut self.sum, &mut self.squares] {
            list.clear();
            list.resize(components, 0.0);
        }
    }

    /// Adds values of one component; the caller counts them once for all components.
    pub fn add(&mut self, component: usize, values: impl Iterator<Item = f64>) {
        for value in values {
            self.sum[component] += value;
            self.squares[component] += value * value;
        }
    }
}

impl Moments {
    pub fn new(components: usize) -> Moments {
        Moments { count: 0.0, mean: vec![0.0; components], spread: vec![0.0; components] }
    }

    pub fn add(&mut self, batch: &Sums) {
        if batch.count == 0.0 {
            return;
        }
        let (before, all) = (self.count, self.count + batch.count);
        let parts =
            self.mean.iter_mut().zip(&mut self.spread).zip(batch.sum.iter().zip(&batch.squares));
        for ((mean, spread), (sum, squares)) in parts {
            let of_batch = sum / batch.count;
            let apart = of_batch - *mean;
            *spread +=
                (squares - sum * of_batch).max(0.0) + apart * apart * before * batch.count / all;
            *mean += apart * batch.count / all;
        }
        self.count = all;
    }

    pub fn mean(&self, component: usize) -> f64 {
        self.mean[component]
    }

    /// 1 where nothing has varied yet.
    pub fn deviation(&self, component: usize) -> f64 {
        let variance = self.spread[component] / self.count;
        if variance > 1e-12 { variance.sqrt() } else { 1.0 }
    }

    /// Count, means and spreads, as a checkpoint keeps them.
    pub fn to_numbers(&self) -> Vec<f64> {
        [&[self.count][..], &self.mean, &self.spread].concat()
    }

    /// Goes on from [`Moments::to_numbers`]; `false`, and nothing is changed, where they are of
    /// other components.
    #[must_use]
    pub fn restore(&mut self, numbers: &[f64]) -> bool {
        let components = self.mean.len();
        let fits = numbers.len() == 1 + 2 * components;
        if fits {
            *self = Moments {
                count: numbers[0],
                mean: numbers[1..=components].to_vec(),
                spread: numbers[1 + components..].to_vec(),
            };
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_batches_are_those_of_all() {
        let values: Vec<f64> = (0..50).map(|i| 1e3 + f64::from(i * i % 17)).collect();
        let mut moments = Moments::new(1);
        assert_eq!((moments.mean(0), moments.deviation(0)), (0.0, 1.0));
        for batch in values.chunks(7) {
            let mut sums = Sums::default();
            sums.clear(1);
            sums.add(0, batch.iter().copied());
            sums.count = batch.len() as f64;
            moments.add(&sums);
        }
        let mean = values.iter().sum::<f64>() / 50.0;
        let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 50.0;
        assert!(
            (moments.mean(0) - mean).abs() < 1e-9
                && (moments.deviation(0) - variance.sqrt()).abs() < 1e-7
        );
        let mut again = Moments::new(1);
        assert!(again.restore(&moments.to_numbers()) && again == moments && !again.restore(&[1.0]));
    }
}
