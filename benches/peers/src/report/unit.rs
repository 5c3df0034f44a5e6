//! What a figure counts, and how it is written.

/// The unit of a table's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Seconds, shown with the prefix that fits.
    Seconds,
    /// Events in a second.
    Rate,
    /// Bytes in a second.
    Throughput,
    Bytes,
    /// Bytes on disk for each byte of JSON.
    Times,
}

impl Unit {
    /// What stands over the chart, and in the JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Rate => "events per second",
            Self::Throughput => "bytes per second",
            Self::Bytes => "bytes",
            Self::Times => "times",
        }
    }

    /// Whether a shorter bar is a better one.
    pub(crate) fn is_better_low(self) -> bool {
        !matches!(self, Self::Rate | Self::Throughput)
    }

    /// A figure with three digits and its unit.
    pub(crate) fn show(self, figure: f64) -> String {
        match self {
            Self::Seconds => scaled(
                figure,
                &[(1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")],
            ),
            Self::Rate => format!("{}/s", scaled(figure, &[(1e6, "M"), (1e3, "k"), (1.0, "")])),
            Self::Throughput => format!("{}/s", Self::Bytes.show(figure)),
            Self::Bytes => scaled(figure, &[(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")]),
            Self::Times => digits(figure),
        }
    }
}

fn scaled(figure: f64, scales: &[(f64, &str)]) -> String {
    let fits = scales.iter().find(|(scale, _)| figure >= *scale);
    let (scale, unit) = fits.or(scales.last()).copied().unwrap_or((1.0, ""));
    format!("{} {unit}", digits(figure / scale))
        .trim_end()
        .to_owned()
}

/// A figure with three digits.
pub(crate) fn digits(figure: f64) -> String {
    let places = match figure.abs() {
        x if x >= 100.0 => 0,
        x if x >= 10.0 => 1,
        _ => 2,
    };
    format!("{figure:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_fitting_prefix() {
        assert_eq!(Unit::Seconds.show(0.000_172), "172 us");
        assert_eq!(Unit::Rate.show(654_321.0), "654 k/s");
        assert_eq!(Unit::Throughput.show(2.6e9), "2.60 GB/s");
        assert_eq!(Unit::Bytes.show(12.0), "12.0 B");
    }
}
