//! The file that a parent zone comes from: read, shown with its change, and replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use hickory_proto::rr::Name;
use jiff::Timestamp;
use jiff::tz::Offset;
use similar::TextDiff;
use tempfile::NamedTempFile;

use super::edit::{EditError, Edited, Parent};
use crate::cli::Failure;
use crate::delegation::Delegation;
use crate::zone::master;

/// Why a file is not changed.
#[derive(Debug, thiserror::Error)]
enum ParentFileError {
    #[error("{} is not changed", path.display())]
    Edit { path: PathBuf, source: Box<EditError> },
    #[error("{} could not be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} has changed meanwhile: nothing was written, try again", path.display())]
    Changed { path: PathBuf },
    #[error("{} could not be replaced", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
}

/// The master file of a parent zone.
pub(super) struct ParentFile {
    /// As it was named.
    path: PathBuf,
    octets: Vec<u8>,
}

impl ParentFile {
    /// Reads the file at `path`.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let path = path.to_owned();
        match fs::read(&path) {
            Ok(octets) => Ok(Self { path, octets }),
            Err(source) => Err(Failure::unable(ParentFileError::Unreadable { path, source })),
        }
    }

    /// The text with `delegation` in it; none: it is as it should be.
    pub(super) fn with(&self, apex: &Name, delegation: &Delegation) -> Result<Option<Edited>, Failure> {
        let date = Offset::UTC.to_datetime(Timestamp::now()).date();
        let [year, month, day] =
            [date.year(), date.month().into(), date.day().into()].map(i16::unsigned_abs).map(u32::from);
        let today = (year * 100 + month) * 100 + day;
        let parent = Parent { apex, text: &self.octets, folder: Some(master::folder(&self.path)), today };
        parent.with(delegation).map_err(|source| {
            Failure::Usage(ParentFileError::Edit { path: self.path.clone(), source: Box::new(source) }.into())
        })
    }

    /// What `edited` changes, as `diff -u` has it.
    pub(super) fn diff(&self, edited: &Edited) -> String {
        let [old, new] = [&self.octets, &edited.text].map(|text| String::from_utf8_lossy(text));
        let path = self.path.display().to_string();
        TextDiff::from_lines(&old, &new).unified_diff().header(&path, &path).to_string()
    }

    /// Puts `edited` in the file's place, in one step: others see the old file or the new one. Links stay.
    pub(super) fn replace(&self, edited: &Edited) -> Result<(), Failure> {
        match self.put(&edited.text) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::unable(ParentFileError::Changed { path: self.path.clone() })),
            Err(source) => Err(Failure::unable(ParentFileError::Unwritable { path: self.path.clone(), source })),
        }
    }

    /// Whether the file was still the one that was read, and is replaced.
    fn put(&self, text: &[u8]) -> io::Result<bool> {
        let path = self.path.canonicalize()?;
        let folder = master::folder(&path);
        let metadata = fs::metadata(&path)?;
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(text)?;
        let made = file.as_file().metadata()?;
        if (made.uid(), made.gid()) != (metadata.uid(), metadata.gid()) {
            fchown(file.as_file(), Some(metadata.uid()), Some(metadata.gid()))?;
        }
        file.as_file().set_permissions(metadata.permissions())?;
        file.as_file().sync_all()?;
        if fs::read(&path)? != self.octets {
            return Ok(false);
        }
        file.persist(&path)?;
        File::open(folder)?.sync_all()?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;
    use crate::zone::Serial;

    fn edited(text: &str) -> Edited {
        Edited { text: text.into(), serials: [Serial(1), Serial(2)] }
    }

    #[test]
    fn a_file_is_replaced_behind_its_link_with_its_mode_and_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let [real, link] = ["real.zone", "link.zone"].map(|name| folder.path().join(name));
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
        symlink("real.zone", &link).unwrap();
        // Only root may give a file away.
        let owner = if chown(&real, Some(1234), Some(4321)).is_ok() { Some((1234, 4321)) } else { None };
        ParentFile::open(&link).unwrap().replace(&edited("new")).unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let metadata = fs::metadata(&real).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o640);
        assert!(owner.is_none_or(|owner| (metadata.uid(), metadata.gid()) == owner));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_has_changed_meanwhile_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zone");
        fs::write(&path, "old").unwrap();
        let file = ParentFile::open(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        let failure = file.replace(&edited("new")).unwrap_err();
        assert!(
            failure.cause().unwrap().to_string().ends_with("has changed meanwhile: nothing was written, try again")
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
