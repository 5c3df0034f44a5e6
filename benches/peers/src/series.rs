//! The samples of one side: median, spread, ratios.

/// What one side gave, round by round.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) side: String,
    pub(crate) samples: Vec<f64>,
}

impl Series {
    /// A side without samples yet.
    pub(crate) fn none(side: impl Into<String>) -> Self {
        Self {
            side: side.into(),
            samples: Vec::new(),
        }
    }

    /// A figure that was taken once.
    pub(crate) fn once(side: impl Into<String>, sample: f64) -> Self {
        Self {
            side: side.into(),
            samples: vec![sample],
        }
    }

    pub(crate) fn median(&self) -> f64 {
        quantile(&self.samples, 0.5)
    }

    /// Half the distance from the first to the ninth decile, as a part of the median.
    pub(crate) fn spread(&self) -> f64 {
        let median = self.median();
        if median == 0.0 {
            return 0.0;
        }
        (quantile(&self.samples, 0.9) - quantile(&self.samples, 0.1)) / 2.0 / median
    }

    /// The median of the rounds' ratios `self / other`: what slows a whole round down is in both.
    pub(crate) fn over(&self, other: &Self) -> f64 {
        let ratios: Vec<_> = self
            .samples
            .iter()
            .zip(&other.samples)
            .map(|(a, b)| a / b)
            .collect();
        quantile(&ratios, 0.5)
    }
}

/// The series of a side among others.
pub(crate) fn of<'s>(series: &'s [Series], side: &str) -> Option<&'s Series> {
    series.iter().find(|s| s.side == side)
}

fn quantile(samples: &[f64], at: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = at * last as f64;
    let (below, part) = (place.floor(), place.fract());
    let (low, high) = (sorted[below as usize], sorted[place.ceil() as usize]);
    low + (high - low) * part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_samples_is_between_the_middle_two() {
        assert!((quantile(&[4.0, 1.0, 3.0, 2.0], 0.5) - 2.5).abs() < 1e-9);
        assert!((quantile(&[7.0], 0.9) - 7.0).abs() < 1e-9);
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let side = |samples: &[f64]| Series {
            side: String::new(),
            samples: samples.to_vec(),
        };
        // The second round was slow for both.
        let ratio = side(&[2.0, 20.0, 2.0]).over(&side(&[1.0, 10.0, 1.0]));
        assert!((ratio - 2.0).abs() < 1e-9);
    }
}
