//! Files and directories that no other user may read, write or redirect.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::{Error, ErrorKind};

/// The directory of this name below `base`. Makes both if need be, and refuses those of somebody else.
pub(super) fn private(base: &Path, name: &str) -> io::Result<PathBuf> {
    let path = base.join(name);
    make(base)?;
    owner::check(base, &fs::metadata(base)?)?;
    make(&path)?;
    // A link is not followed here: it is no directory.
    let metadata = fs::symlink_metadata(&path)?;
    owner::check(&path, &metadata)?;
    owner::keep_others_out(&path, &metadata)?;
    Ok(path)
}

/// The same, for a setting.
pub(super) fn private_for(what: &str, base: &Path, name: &str) -> Result<PathBuf, Error> {
    private(base, name).map_err(|error| {
        let message = format!(
            "cannot use the directory {} for {what}: name a directory that this user may write to, and no other",
            base.display()
        );
        Error::new(ErrorKind::Setting, message).caused_by(error)
    })
}

/// Makes a directory, those above it included, that is its owner's alone.
pub(super) fn make(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// How files of ours are opened: a link is not followed, and what is created is its owner's alone.
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    owner::keep_to_ourselves(&mut options);
    options
}

/// Whether a file could not be opened because it is a link.
pub(super) fn is_link(error: &io::Error) -> bool {
    owner::is_link(error)
}

#[cfg(unix)]
mod owner {
    use std::fs::{self, Metadata, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
    use std::path::Path;

    use rustix::fs::OFlags;
    use rustix::io::Errno;
    use rustix::process::geteuid;

    const OTHERS: u32 = 0o077;
    const OTHERS_WRITE: u32 = 0o022;
    /// Who may write to such a directory may not rename what belongs to others.
    const STICKY: u32 = 0o1000;

    pub(super) fn check(path: &Path, metadata: &Metadata) -> io::Result<()> {
        let (path, owner, us) = (path.display(), metadata.uid(), geteuid().as_raw());
        if !metadata.is_dir() {
            return Err(refused(format!("{path} is no directory")));
        }
        if owner != us {
            return Err(refused(format!(
                "{path} belongs to another user: its owner is {owner}, this process runs as {us}; name one below it, \
                 which is then made"
            )));
        }
        let mode = metadata.mode();
        if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
            return Err(refused(format!(
                "other users may write to {path}: remove what they left there, and write `chmod go-w {path}`"
            )));
        }
        Ok(())
    }

    pub(super) fn keep_others_out(path: &Path, metadata: &Metadata) -> io::Result<()> {
        match metadata.mode() & OTHERS {
            0 => Ok(()),
            _ => fs::set_permissions(path, Permissions::from_mode(0o700)),
        }
    }

    fn refused(message: String) -> io::Error {
        io::Error::new(io::ErrorKind::PermissionDenied, message)
    }

    pub(super) fn keep_to_ourselves(options: &mut OpenOptions) {
        options
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    }

    pub(super) fn is_link(error: &io::Error) -> bool {
        // FreeBSD says EMLINK.
        [Errno::LOOP, Errno::MLINK]
            .iter()
            .any(|link| error.raw_os_error() == Some(link.raw_os_error()))
    }
}

/// Who may do what is said by access control lists, which new files have of their directory.
#[cfg(not(unix))]
mod owner {
    use std::fs::{Metadata, OpenOptions};
    use std::io;
    use std::path::Path;

    pub(super) fn check(_path: &Path, _metadata: &Metadata) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn keep_others_out(_path: &Path, _metadata: &Metadata) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn keep_to_ourselves(_options: &mut OpenOptions) {}

    pub(super) fn is_link(_error: &io::Error) -> bool {
        false
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    fn with_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o7777
    }

    #[test]
    fn what_is_made_is_its_owners_alone() {
        let parent = tempfile::tempdir().unwrap();
        let base = parent.path().join("made/as well");
        let path = private(&base, "values").unwrap();
        assert_eq!([mode(&base), mode(&path)], [0o700; 2]);
        let file = path.join("file");
        options().write(true).create(true).open(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn what_others_could_only_read_is_closed() {
        let base = tempfile::tempdir().unwrap();
        with_mode(base.path(), 0o755);
        let path = base.path().join("values");
        fs::create_dir(&path).unwrap();
        with_mode(&path, 0o755);
        private(base.path(), "values").unwrap();
        assert_eq!((mode(base.path()), mode(&path)), (0o755, 0o700));
    }

    #[test]
    fn what_others_could_write_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let path = private(base.path(), "values").unwrap();
        for open in [base.path(), &path] {
            with_mode(open, 0o720);
            let error = private(base.path(), "values").unwrap_err();
            assert!(error.to_string().contains("chmod go-w"), "{error}");
            with_mode(open, 0o700);
        }
        // As /tmp: nobody can take our directory away there.
        with_mode(base.path(), 0o1777);
        private(base.path(), "values").unwrap();
    }

    #[test]
    fn links_are_not_followed() {
        let base = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), base.path().join("values")).unwrap();
        private(base.path(), "values").unwrap_err();
        symlink(elsewhere.path().join("file"), base.path().join("link")).unwrap();
        let opened = options()
            .write(true)
            .create(true)
            .open(base.path().join("link"));
        assert!(is_link(&opened.unwrap_err()));
        // What the user names may be a link.
        symlink(elsewhere.path(), base.path().join("named")).unwrap();
        private(&base.path().join("named"), "values").unwrap();
    }
}
