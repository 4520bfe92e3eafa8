//! Plain loops over the same tables.

const LANES: usize = 16;

/// The sum of all numbers, which waits for nothing but the memory.
pub fn read(numbers: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    for numbers in numbers.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            sums[lane] += numbers[lane];
        }
    }
    sums.iter().sum()
}

/// As [`read`].
pub fn read_columns(columns: &[u32]) -> f64 {
    let mut sums = [0u32; LANES];
    for columns in columns.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            sums[lane] = sums[lane].wrapping_add(columns[lane]);
        }
    }
    sums.iter().map(|&sum| f64::from(sum)).sum()
}

/// The sums of numbers and columns, one entry after the other: each addition waits for the last.
pub fn read_in_order(numbers: &[f64], columns: &[u32]) -> f64 {
    let (mut sum, mut whole) = (0.0, 0u64);
    for (number, column) in numbers.iter().zip(columns) {
        sum += number;
        whole += u64::from(*column);
    }
    sum + whole as f64
}

/// Soft value iteration from a uniform start under a uniform prior: `V(s) = log mean_a exp(r + Σ_s'
/// p V(s'))`. `p` is by state, action and next state.
pub fn best_bound(p: &[f64], reward: &[f64], states: usize, actions: usize, horizon: usize) -> f64 {
    let mut value = vec![0.0; states];
    let mut q = vec![0.0; states * actions];
    for _ in 0..horizon {
        for ((q, row), r) in q.iter_mut().zip(p.chunks_exact(states)).zip(reward) {
            let mut sums = [0.0; 8];
            let ((rows, row), (values, value)) = (row.as_chunks::<8>(), value.as_chunks::<8>());
            for (row, value) in rows.iter().zip(values) {
                for lane in 0..8 {
                    sums[lane] += row[lane] * value[lane];
                }
            }
            *q = r
                + sums.iter().sum::<f64>()
                + row.iter().zip(value).map(|(p, v)| p * v).sum::<f64>();
        }
        for (value, q) in value.iter_mut().zip(q.chunks_exact(actions)) {
            let high = q.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            *value = high + (q.iter().map(|q| (q - high).exp()).sum::<f64>() / actions as f64).ln();
        }
    }
    value.iter().sum::<f64>() / states as f64
}
