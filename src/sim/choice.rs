//! The one source of nondeterminism, and what drives it.

/// Makes every choice of a simulation, so that a run can be repeated, enumerated, or steered by a fuzzer.
pub trait Choice {
    /// A number below `n`; 0 if `n` is 0 or 1. `what` names the choice for whoever reads a log of them.
    ///
    /// 0 is always the dullest outcome: nothing more survived.
    fn choose(&mut self, what: &'static str, n: u64) -> u64;
}

/// Pseudo-random choices: the same seed makes the same choices, on every machine and in every release.
#[derive(Clone, Debug)]
pub struct Seeded {
    seed: u64,
    state: u64,
}

impl Seeded {
    /// The choices of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// The seed, for the message of a failing test.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

impl Choice for Seeded {
    fn choose(&mut self, _what: &'static str, n: u64) -> u64 {
        if n < 2 {
            return 0;
        }
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        // The high half of the product is uniform enough, and has no modulo.
        ((u128::from(mix(self.state)) * u128::from(n)) >> 64) as u64
    }
}

/// splitmix64's output function: scrambles a counter into noise.
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A choice that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// What was chosen.
    pub what: &'static str,
    /// The number.
    pub value: u64,
    /// How many there were.
    pub of: u64,
}

/// Every sequence of choices, one run after the other.
///
/// ```
/// use sessionlog::sim::{Choice, Exhaustive};
///
/// let mut all = Exhaustive::new();
/// let mut seen = Vec::new();
/// loop {
///     let first = all.choose("first", 2);
///     seen.push((first, if first == 1 { all.choose("second", 3) } else { 0 }));
///     if !all.advance() {
///         break;
///     }
/// }
/// assert_eq!(seen, [(0, 0), (1, 0), (1, 1), (1, 2)]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Exhaustive {
    path: Vec<Chosen>,
    position: usize,
}

impl Exhaustive {
    /// Starts with the sequence of zeros.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes to the next sequence; `false` if there is none left, and the next run starts all over again.
    pub fn advance(&mut self) -> bool {
        // A run that ended early leaves choices behind that it did not make.
        self.path.truncate(self.position);
        self.position = 0;
        while let Some(mut last) = self.path.pop() {
            last.value += 1;
            if last.value < last.of {
                self.path.push(last);
                return true;
            }
        }
        false
    }

    /// The choices of this run so far, for the message of a failing test.
    #[must_use]
    pub fn made(&self) -> &[Chosen] {
        &self.path[..self.position]
    }
}

impl Choice for Exhaustive {
    fn choose(&mut self, what: &'static str, n: u64) -> u64 {
        if n < 2 {
            return 0;
        }
        match self.path.get(self.position) {
            Some(chosen) if chosen.of == n && chosen.what == what => {}
            // The run is another than before, although its choices were the same: what follows is new.
            _ => {
                self.path.truncate(self.position);
                self.path.push(Chosen {
                    what,
                    value: 0,
                    of: n,
                });
            }
        }
        self.position += 1;
        self.path[self.position - 1].value
    }
}

/// Choices out of a fuzzer's bytes: as many bytes for each as its range needs, zeros when they run out.
#[derive(Clone, Debug)]
pub struct Bytes<'a> {
    bytes: &'a [u8],
}

impl<'a> Bytes<'a> {
    /// The choices that these bytes make.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Whether all bytes are used up: a good moment for a fuzz target to stop.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Choice for Bytes<'_> {
    fn choose(&mut self, _what: &'static str, n: u64) -> u64 {
        if n < 2 {
            return 0;
        }
        let mut value = 0_u64;
        let mut range = n - 1;
        while range > 0 {
            let Some((first, rest)) = self.bytes.split_first() else {
                break;
            };
            value = value << 8 | u64::from(*first);
            self.bytes = rest;
            range >>= 8;
        }
        value % n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_choices_and_they_stay_in_range() {
        let draw = |seed| {
            let mut choice = Seeded::new(seed);
            (1..200).map(|n| choice.choose("x", n)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!((1..200).zip(draw(7)).all(|(n, value)| value < n));
        assert!(Seeded::new(1).choose("x", u64::MAX) < u64::MAX);
    }

    #[test]
    fn the_enumerator_meets_every_sequence_once() {
        let mut all = Exhaustive::new();
        let mut seen = std::collections::BTreeSet::new();
        loop {
            let sequence = [all.choose("a", 3), all.choose("b", 1), all.choose("c", 4)];
            assert!(seen.insert(sequence));
            assert_eq!(all.made().len(), 2);
            if !all.advance() {
                break;
            }
        }
        assert_eq!(seen.len(), 12);
    }

    #[test]
    fn bytes_that_run_out_choose_zero() {
        let mut choice = Bytes::new(&[1, 0xFF, 3]);
        assert_eq!(choice.choose("x", 1), 0);
        assert_eq!(choice.choose("x", 2), 1);
        assert_eq!(choice.choose("x", 65_536), 0xFF03);
        assert!(choice.is_empty());
        assert_eq!(choice.choose("x", 10), 0);
    }
}
