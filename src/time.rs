//! Timestamps as the standard layout writes them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Microseconds since 1970 as Python's `datetime.isoformat()` writes them in UTC:
/// `2026-11-20T20:15:17.716298+00:00`, without the fraction when it is 0.
///
/// Times that a calendar does not reach (a broken clock) are given as 1970.
#[must_use]
pub fn iso(time_us: u64) -> String {
    let timestamp = i64::try_from(time_us)
        .ok()
        .and_then(|us| Timestamp::from_microsecond(us).ok());
    let time = timestamp
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_zoned(TimeZone::UTC)
        .datetime();
    let (date, clock, micros) = (time.date(), time.time(), time.subsec_nanosecond() / 1000);
    let (hour, minute, second) = (clock.hour(), clock.minute(), clock.second());
    let fraction = if micros == 0 {
        String::new()
    } else {
        format!(".{micros:06}")
    };
    format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}+00:00")
}

#[cfg(test)]
mod tests {
    use super::iso;

    #[test]
    fn times_are_written_as_python_writes_them() {
        assert_eq!(
            iso(1_795_205_717_716_298),
            "2026-11-20T20:15:17.716298+00:00"
        );
        assert_eq!(iso(1_795_205_717_000_000), "2026-11-20T20:15:17+00:00");
        assert_eq!(
            iso(1_795_205_717_000_042),
            "2026-11-20T20:15:17.000042+00:00"
        );
        assert_eq!(iso(951_782_400_000_000), "2000-02-29T00:00:00+00:00");
        assert_eq!(iso(u64::MAX), "1970-01-01T00:00:00+00:00");
    }
}
