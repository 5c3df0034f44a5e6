//! What a store takes from the world besides a disk: the time, and random bytes.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A clock, a source of random bytes, and which process this is. Tests bring their own.
pub trait Environment: Send + Sync + fmt::Debug {
    /// The time in microseconds since 1970 (UTC).
    fn now_us(&self) -> u64;
    /// Fills `buf` with random bytes, for log ids and salts.
    fn fill_random(&self, buf: &mut [u8]);
    /// The process: a session that was opened in another one, before a `fork`, refuses to write.
    fn process_id(&self) -> u32 {
        std::process::id()
    }
}

/// The system's clock and random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnvironment;

impl Environment for SystemEnvironment {
    fn now_us(&self) -> u64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn fill_random(&self, buf: &mut [u8]) {
        if getrandom::fill(buf).is_err() {
            // Log ids must differ, they need not be secret: without a random source, the clock and the
            // process id serve.
            let seed = self.now_us() ^ (u64::from(std::process::id()) << 40);
            let bytes = seed.to_le_bytes();
            for (i, byte) in buf.iter_mut().enumerate() {
                *byte = bytes[i % 8].wrapping_add(i as u8);
            }
        }
    }
}
