//! What a damaged region means: the decision table of `docs/FORMAT.md`, as data.

use crate::damage::Verdict;

/// What is known about a damaged region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The first missing version is at or below the watermark.
    pub(crate) durable: bool,
    /// The segment is sealed, or not the last one.
    pub(crate) closed: bool,
    /// The region has an all-zero part of a 512-byte sector or 64 zero bytes in a row, holds a frame that runs
    /// past the end of the file, or is shorter than a frame header.
    pub(crate) looks_torn: bool,
}

/// One row: the evidence that it needs (`None` = any) and its verdict.
pub(crate) struct Row {
    pub(crate) durable: Option<bool>,
    pub(crate) closed: Option<bool>,
    pub(crate) looks_torn: Option<bool>,
    pub(crate) verdict: Verdict,
    /// The row of the table in `docs/FORMAT.md`; a test compares them.
    #[cfg(test)]
    pub(crate) text: &'static str,
}

/// The table for a region between or after frames. The first row that fits decides; every case fits one.
/// `TailLost` and `SegmentLost` are about files and snapshots, not regions: see `reader`.
pub(crate) const TABLE: [Row; 4] = [
    Row {
        durable: Some(true),
        closed: None,
        looks_torn: None,
        verdict: Verdict::Corrupt,
        #[cfg(test)]
        text: "| at or below the watermark | any | any | corrupt |",
    },
    Row {
        durable: Some(false),
        closed: Some(true),
        looks_torn: None,
        verdict: Verdict::Corrupt,
        #[cfg(test)]
        text: "| above the watermark | sealed, or not the last | any | corrupt |",
    },
    Row {
        durable: Some(false),
        closed: Some(false),
        looks_torn: Some(true),
        verdict: Verdict::Torn,
        #[cfg(test)]
        text: "| above the watermark | last, not sealed | yes | torn |",
    },
    Row {
        durable: Some(false),
        closed: Some(false),
        looks_torn: Some(false),
        verdict: Verdict::Suspect,
        #[cfg(test)]
        text: "| above the watermark | last, not sealed | no | suspect |",
    },
];

/// The verdict on a region.
pub(crate) fn classify(evidence: Evidence) -> Verdict {
    let fits = |need: Option<bool>, is: bool| need.is_none_or(|need| need == is);
    TABLE
        .iter()
        .find(|row| {
            fits(row.durable, evidence.durable)
                && fits(row.closed, evidence.closed)
                && fits(row.looks_torn, evidence.looks_torn)
        })
        .map_or(Verdict::Corrupt, |row| row.verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_fits_exactly_one_row() {
        for bits in 0..8_u8 {
            let (durable, closed, looks_torn) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
            let fits = |need: Option<bool>, is: bool| need.is_none_or(|need| need == is);
            let rows = TABLE.iter().filter(|row| {
                fits(row.durable, durable)
                    && fits(row.closed, closed)
                    && fits(row.looks_torn, looks_torn)
            });
            assert_eq!(
                rows.count(),
                1,
                "durable {durable}, closed {closed}, torn {looks_torn}"
            );
        }
    }

    #[test]
    fn the_table_in_the_documentation_is_this_one() {
        let document = include_str!("../../docs/FORMAT.md");
        let rows: Vec<_> = TABLE.iter().map(|row| row.text).collect();
        assert!(
            document.contains(&rows.join("\n")),
            "docs/FORMAT.md must have the rows {rows:#?}"
        );
    }

    #[test]
    fn durable_damage_is_never_torn_and_only_torn_tails_are_cut() {
        for bits in 0..8_u8 {
            let (durable, closed, looks_torn) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
            let verdict = classify(Evidence {
                durable,
                closed,
                looks_torn,
            });
            assert_eq!(verdict == Verdict::Torn, !durable && !closed && looks_torn);
            assert_eq!(
                verdict == Verdict::Suspect,
                !durable && !closed && !looks_torn
            );
        }
    }
}
