//! Which device a store is on.

use std::io;
use std::path::Path;

use crate::format::crc;
use crate::storage::{OpenMode, Storage, read_full_at, write_all_at};
use crate::store::Inner;
use crate::{Error, Result};

const DEVICE: &str = "DEVICE";
const LEN: usize = 24;

/// The id of this store on this machine; minted and kept at the first use, and again where the store was copied
/// to another place, because a copy is another device.
pub(super) fn device(store: &Inner) -> Result<[u8; 16]> {
    let (storage, root) = (&*store.storage, &store.root);
    let (path, place) = (root.join(DEVICE), place(root));
    if let Some((id, at)) = read(storage, &path)? {
        if at == place {
            return Ok(id);
        }
        tracing::info!(store = %root.display(), "the store was copied or moved: it is another device now");
    }
    let mut id = [0; 16];
    store.environment.fill_random(&mut id);
    let mut bytes = id.to_vec();
    bytes.extend_from_slice(&place.to_le_bytes());
    let sum = crc(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    replace_file(storage, &path, &bytes)?;
    Ok(id)
}

/// Writes a small file: the old one or the new one is there after a crash.
pub(super) fn replace_file(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("tmp");
    match storage.remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io("remove", &temporary)(e));
        }
        _ => {}
    }
    let file = storage
        .open(&temporary, OpenMode::CreateNew)
        .map_err(Error::io("create", &temporary))?;
    write_all_at(&*file, bytes, 0).map_err(Error::io("write", &temporary))?;
    file.sync_data()
        .map_err(Error::io("fdatasync", &temporary))?;
    storage
        .rename(&temporary, path)
        .map_err(Error::io("rename", &temporary))?;
    let dir = path.parent().unwrap_or(path);
    storage
        .sync_dir(dir)
        .map_err(Error::io("sync directory", dir))
}

fn read(storage: &dyn Storage, path: &Path) -> Result<Option<([u8; 16], u32)>> {
    let file = match storage.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("open", path)(e)),
    };
    let mut bytes = [0; LEN];
    let got = read_full_at(&*file, &mut bytes, 0).map_err(Error::io("read", path))?;
    let (body, sum) = bytes.split_at(LEN - 4);
    let good = got == LEN && crc(body).to_le_bytes() == *sum;
    let mut id = [0; 16];
    id.copy_from_slice(&bytes[..16]);
    let at = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
    Ok(good.then_some((id, at)))
}

/// What tells this place from a copy of it: the machine, and the inode of the file STORE where there is one.
fn place(root: &Path) -> u32 {
    let machine = std::fs::read("/etc/machine-id").unwrap_or_default();
    let mut place = machine;
    #[cfg(unix)]
    if let Ok(file) = std::fs::metadata(root.join("STORE")) {
        use std::os::unix::fs::MetadataExt;
        place.extend_from_slice(&file.ino().to_le_bytes());
    }
    #[cfg(not(unix))]
    place.extend_from_slice(root.as_os_str().as_encoded_bytes());
    crc(&place)
}
