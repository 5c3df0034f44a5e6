//! Rounds: every side does its part in each, so that what the machine does meanwhile hits all of them.

use std::time::Instant;

use crate::fault::Result;
use crate::series::Series;

/// One side's part of a round; returns its sample.
pub(crate) type Part<'p> = Box<dyn FnMut() -> Result<f64> + 'p>;

/// A side's name and its part.
pub(crate) type Sides<'p> = Vec<(String, Part<'p>)>;

/// Runs the rounds after one that only warms up. Each round begins with another side.
pub(crate) fn interleave(rounds: usize, mut sides: Sides<'_>) -> Result<Vec<Series>> {
    let mut all: Vec<_> = sides
        .iter()
        .map(|(side, _)| Series {
            side: side.clone(),
            samples: Vec::with_capacity(rounds),
        })
        .collect();
    let count = sides.len();
    for round in 0..=rounds {
        for place in 0..count {
            let at = (place + round) % count;
            let (name, part) = &mut sides[at];
            let sample = part().map_err(|e| format!("{name}: {e}"))?;
            if round > 0 {
                all[at].samples.push(sample);
            }
        }
    }
    Ok(all)
}

/// Seconds that the work took.
pub(crate) fn seconds<T>(work: impl FnOnce() -> Result<T>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds for each of `count` calls, on average.
pub(crate) fn seconds_each(count: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let total = seconds(|| (0..count).try_for_each(|_| work()))?;
    Ok(total / count as f64)
}
