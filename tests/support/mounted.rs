//! A folder of files as a kubelet mounts ConfigMaps and Secrets.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A volume as the kubelet writes it: all files are links through one link, `..data`, which is swapped.
pub(crate) struct Mounted {
    /// Where it is.
    pub(crate) folder: PathBuf,
    mode: u32,
    group: Option<u32>,
    versions: AtomicUsize,
}

impl Mounted {
    /// One without files. Each will have this mode, and belong to this group (`fsGroup`).
    pub(crate) fn new(folder: PathBuf, mode: u32, group: Option<u32>) -> Self {
        Self { folder, mode, group, versions: AtomicUsize::new(0) }
    }

    /// Makes these files, by path and text, its contents, in one step.
    pub(crate) fn write(&self, files: &BTreeMap<String, String>) {
        let version = format!("..{}", self.versions.fetch_add(1, Ordering::Relaxed));
        for (path, text) in files {
            let file = self.folder.join(&version).join(path);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(&file, text).expect("written");
            fs::set_permissions(&file, Permissions::from_mode(self.mode)).expect("its mode");
            chown(&file, None, self.group).expect("its group");
        }
        let (new, data) = (self.folder.join("..data_tmp"), self.folder.join("..data"));
        symlink(&version, &new).expect("a link");
        fs::rename(new, data).expect("swapped");
        for path in files.keys() {
            let top = path.split('/').next().expect("a name");
            if !self.folder.join(top).is_symlink() {
                symlink(Path::new("..data").join(top), self.folder.join(top)).expect("a link");
            }
        }
    }
}
