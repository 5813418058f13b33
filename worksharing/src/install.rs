//! The runtime of functions that are annotated without `via`.

use std::sync::{PoisonError, RwLock};

use crate::{Error, ErrorKind, WorkSharing};

static INSTALLED: RwLock<Option<Installed>> = RwLock::new(None);

struct Installed {
    sharing: WorkSharing,
    /// Made because nothing was installed when it was first asked for.
    by_default: bool,
}

impl WorkSharing {
    /// Makes this the runtime of functions that are annotated without `via`.
    ///
    /// # Errors
    /// Another one is installed already.
    pub fn install(&self) -> Result<(), Error> {
        let mut installed = INSTALLED.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = &*installed
            && !other.by_default
            && !other.sharing.is(self)
        {
            return Err(Error::new(
                ErrorKind::AlreadyInstalled,
                "another runtime is installed already, and a process has one: call `install` once, early in \
                 `main`, and give functions that need another runtime `via = …`",
            ));
        }
        *installed = Some(Installed {
            sharing: self.clone(),
            by_default: false,
        });
        Ok(())
    }

    /// The runtime of functions that are annotated without `via`: the installed one. If nothing is
    /// installed it is in memory, which is said once, at info level.
    pub fn installed() -> Self {
        if let Some(installed) = &*INSTALLED.read().unwrap_or_else(PoisonError::into_inner) {
            return installed.sharing.clone();
        }
        let mut installed = INSTALLED.write().unwrap_or_else(PoisonError::into_inner);
        let installed = installed.get_or_insert_with(|| {
            tracing::info!(
                "no runtime is installed: work is shared in the memory of this process only; build a \
                 WorkSharing and call its `install` to share it among processes"
            );
            Installed {
                sharing: Self::in_memory(),
                by_default: true,
            }
        });
        installed.sharing.clone()
    }
}
