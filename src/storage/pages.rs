//! The bytes of a file in memory: sparse, and cheap to clone.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

const PAGE: usize = 4096;

/// Sparse bytes. A clone shares its pages until one side writes to them, so a crash image costs little.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pages {
    len: u64,
    // Bytes at and after `len` are always zero, so that growing needs no work.
    pages: BTreeMap<u64, Arc<[u8; PAGE]>>,
}

impl Pages {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Reads up to the end; returns how many bytes.
    pub(crate) fn read_at(&self, buf: &mut [u8], offset: u64) -> usize {
        let there = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = there.min(buf.len());
        let mut done = 0;
        while done < count {
            let (page, start) = locate(offset + done as u64);
            let take = (PAGE - start).min(count - done);
            let part = &mut buf[done..done + take];
            match self.pages.get(&page) {
                Some(bytes) => part.copy_from_slice(&bytes[start..start + take]),
                None => part.fill(0),
            }
            done += take;
        }
        count
    }

    /// Writes all of `buf`, extending the file; the caller has checked the range with [`end_of`].
    pub(crate) fn write_at(&mut self, buf: &[u8], offset: u64) {
        let mut done = 0;
        while done < buf.len() {
            let (page, start) = locate(offset + done as u64);
            let take = (PAGE - start).min(buf.len() - done);
            let bytes = self
                .pages
                .entry(page)
                .or_insert_with(|| Arc::new([0; PAGE]));
            Arc::make_mut(bytes)[start..start + take].copy_from_slice(&buf[done..done + take]);
            done += take;
        }
        if !buf.is_empty() {
            self.len = self.len.max(offset + buf.len() as u64);
        }
    }

    /// Where the pages start that hold bytes at or after an offset; all others are zero.
    #[cfg(feature = "sim")]
    pub(crate) fn resident_from(&self, offset: u64) -> Vec<u64> {
        self.pages
            .range(offset / PAGE as u64..)
            .map(|(page, _)| page * PAGE as u64)
            .collect()
    }

    /// Cuts, or extends with zeros.
    pub(crate) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let (page, start) = locate(len);
            drop(self.pages.split_off(&(page + u64::from(start > 0))));
            if let Some(bytes) = self.pages.get_mut(&page) {
                Arc::make_mut(bytes)[start..].fill(0);
            }
        }
        self.len = len;
    }
}

fn locate(offset: u64) -> (u64, usize) {
    (offset / PAGE as u64, (offset % PAGE as u64) as usize)
}

/// The end of a range, refused beyond the largest offset that POSIX has.
pub(crate) fn end_of(offset: u64, len: usize) -> io::Result<u64> {
    offset
        .checked_add(len as u64)
        .filter(|end| i64::try_from(*end).is_ok())
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "the offset is beyond the largest file",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pages: &Pages) -> Vec<u8> {
        let mut bytes = vec![1; pages.len() as usize];
        assert_eq!(pages.read_at(&mut bytes, 0), bytes.len());
        bytes
    }

    #[test]
    fn cut_bytes_do_not_come_back_when_the_file_grows() {
        for cut in [0, 1, 4095, 4096, 4097, 8192, 9999] {
            let mut pages = Pages::default();
            pages.write_at(&[7; 10_000], 0);
            pages.set_len(cut);
            pages.set_len(12_000);
            let mut expected = vec![7; cut as usize];
            expected.resize(12_000, 0);
            assert_eq!(all(&pages), expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_clone_does_not_see_later_writes() {
        let mut pages = Pages::default();
        pages.write_at(b"old", 4095);
        let clone = pages.clone();
        pages.write_at(b"new", 4095);
        assert_eq!(&all(&clone)[4095..], b"old");
        assert_eq!(&all(&pages)[4095..], b"new");
    }

    #[test]
    fn a_far_length_costs_no_memory() {
        let mut pages = Pages::default();
        pages.set_len(1 << 62);
        let mut byte = [1];
        assert_eq!(pages.read_at(&mut byte, (1 << 62) - 1), 1);
        assert_eq!(byte, [0]);
        assert!(end_of(u64::MAX, 1).is_err());
    }
}
