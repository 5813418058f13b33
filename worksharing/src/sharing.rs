use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::background::until;
use crate::blocking::block_on;
use crate::builder::Builder;
use crate::events::Stats;
use crate::runtime::Runtime;
use crate::{Computation, Error, Key, ManyWork, Work};

/// A runtime: where locks are taken and values are kept. A cheap clone; the last one to go closes its
/// connections.
///
/// ```
/// use worksharing::WorkSharing;
///
/// # fn main() -> Result<(), worksharing::Error> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path();
/// let sharing = WorkSharing::in_directory(path)?; // shared by all processes of this machine
/// let answer = sharing.work("answer").run_blocking(|| 42);
/// assert_eq!(answer, 42);
/// assert_eq!(sharing.stats().computed, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct WorkSharing(Arc<Runtime>);

impl WorkSharing {
    /// Begins to describe a runtime.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A runtime of this process alone: values in memory, locks in the process. For tests, and for programs
    /// of one process.
    pub fn in_memory() -> Self {
        Builder::new().build_in_memory()
    }

    /// A runtime of the processes of this machine, without any server: values are files in this directory,
    /// which is made if it is missing, and locks are file locks, freed by the kernel when a process dies.
    ///
    /// # Errors
    /// The directory cannot be made or written.
    pub fn in_directory(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().directory(path.as_ref()).build()
    }

    /// A runtime as the environment describes it:
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `WORKSHARING_POSTGRES_URL`, else `DATABASE_URL` | [`Builder::postgres`] |
    /// | `WORKSHARING_REDIS_URL`, else `REDIS_URL` | [`Builder::redis`] |
    /// | `WORKSHARING_LOCK_URL` | [`Builder::lock_url`] |
    /// | `WORKSHARING_LOCK_SERVERS`, URLs with white space between them | [`Builder::lock_servers`] |
    /// | `WORKSHARING_DIRECTORY` | [`Builder::directory`], where there is no PostgreSQL |
    /// | `WORKSHARING_NAMESPACE` | [`Builder::namespace`] |
    ///
    /// With none of them it is in memory. Empty variables count as missing.
    ///
    /// # Errors
    /// As of [`Builder::build`].
    pub fn from_env() -> Result<Self, Error> {
        Builder::from_env().build()
    }

    /// Connects to the servers now, blocking this thread, and makes sure that they can do what is needed.
    ///
    /// # Errors
    /// A server cannot be reached, or is unsuitable: a standby, a pooler in transaction mode, a missing
    /// right. The error says what to do. That other processes cannot be told what is [computed](Self::computing) is no
    /// error, and is warned of; so is a Redis that will take no more values once it is full.
    pub fn check(&self) -> Result<(), Error> {
        block_on(async {
            self.0.lock.check().await?;
            self.0.store.check().await?;
            // Everything else works without it.
            if let Err(error) = self.0.computing.check().await {
                tracing::warn!(
                    error = %error.chain(),
                    "other processes cannot be told what is computed: `computing` fails, and all else works"
                );
            }
            Ok(())
        })
    }

    /// One piece of work, by its characteristic string, which is used exactly as written (after the
    /// namespace, if there is one).
    pub fn work<T>(&self, characteristic: impl AsRef<str>) -> Work<T> {
        Work::new(self, self.0.key(characteristic.as_ref()))
    }

    /// Work of many keys at once, by their characteristic strings, each made of an id.
    pub fn many<K: Clone, S: AsRef<str>>(
        &self,
        ids: impl IntoIterator<Item = K>,
        key: impl FnMut(&K) -> S,
    ) -> ManyWork<K> {
        ManyWork::new(self, ids, key)
    }

    /// The work that a key belongs to, as a call's [`key`](crate::Call::key) gives it: the namespace, which is in it
    /// already, is not put before it again.
    ///
    /// ```
    /// use worksharing::WorkSharing;
    ///
    /// # fn main() -> Result<(), worksharing::Error> {
    /// let sharing = WorkSharing::builder().namespace("shop").build()?;
    /// let work = sharing.work::<u32>("price:7");
    /// let key = work.key().clone();
    /// work.run_blocking(|| 12);
    /// sharing.work_of::<u32>(key).invalidate_blocking()?;
    /// assert_eq!(sharing.work::<u32>("price:7").peek_blocking(), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn work_of<T>(&self, key: Key) -> Work<T> {
        Work::new(self, key)
    }

    /// Removes every stored value with this tag, whatever its key, as [`Work::tag`] and the option `tags` give it. A
    /// computation that is under way and has it is not given to callers that come later.
    ///
    /// ```
    /// use worksharing::WorkSharing;
    ///
    /// # fn main() -> Result<(), worksharing::Error> {
    /// let sharing = WorkSharing::in_memory();
    /// let profile = || sharing.work("profile:7").tag("user:7");
    /// assert_eq!(profile().run_blocking(|| "Ann".to_owned()), "Ann");
    /// sharing.invalidate_tag_blocking("user:7")?;
    /// assert_eq!(profile().run_blocking(|| "Anne".to_owned()), "Anne");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The store cannot be reached: the values may still be there.
    ///
    /// # Cancel safety
    /// Dropped, the removal may or may not happen.
    pub async fn invalidate_tag(&self, tag: impl AsRef<str>) -> Result<(), Error> {
        self.0.invalidate_tag(&self.0.tag(tag.as_ref())).await
    }

    /// [`invalidate_tag`](Self::invalidate_tag), blocking this thread.
    ///
    /// # Errors
    /// The store cannot be reached: the values may still be there.
    pub fn invalidate_tag_blocking(&self, tag: impl AsRef<str>) -> Result<(), Error> {
        block_on(self.invalidate_tag(tag))
    }

    /// Removes every stored value of a function whose option `tags` has the word `function`. The name is the one in
    /// logs: `module::function`, or what the option `name` says; all functions of one name are dropped. One without that
    /// tag, or of another name, is not: its values stay.
    ///
    /// ```
    /// use worksharing::{WorkSharing, work_shared};
    ///
    /// #[work_shared(via = sharing, key = "price:{article}", tags(function), name = "prices")]
    /// fn price(sharing: &WorkSharing, article: u32, now: u64) -> u64 {
    ///     now
    /// }
    ///
    /// # fn main() -> Result<(), worksharing::Error> {
    /// let sharing = WorkSharing::in_memory();
    /// assert_eq!((price(&sharing, 1, 10), price(&sharing, 2, 20)), (10, 20));
    /// sharing.invalidate_function_blocking("prices")?;
    /// assert_eq!((price(&sharing, 1, 11), price(&sharing, 2, 21)), (11, 21));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The store cannot be reached: the values may still be there.
    ///
    /// # Cancel safety
    /// Dropped, the removal may or may not happen.
    pub async fn invalidate_function(&self, name: impl AsRef<str>) -> Result<(), Error> {
        let tag = self.0.function_tag(name.as_ref());
        self.0.invalidate_tag(&tag).await
    }

    /// [`invalidate_function`](Self::invalidate_function), blocking this thread.
    ///
    /// # Errors
    /// As of [`invalidate_function`](Self::invalidate_function).
    pub fn invalidate_function_blocking(&self, name: impl AsRef<str>) -> Result<(), Error> {
        block_on(self.invalidate_function(name))
    }

    /// The statement by which a transaction invalidates a tag, as
    /// [`Work::invalidation_sql`](crate::Work::invalidation_sql) does a key.
    ///
    /// ```
    /// let sharing = worksharing::WorkSharing::in_memory();
    /// assert_eq!(sharing.tag_invalidation_sql("user:7"), "SELECT worksharing_invalidate_tag('user:7')");
    /// ```
    #[cfg(feature = "postgres")]
    #[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
    pub fn tag_invalidation_sql(&self, tag: impl AsRef<str>) -> String {
        self.0.names.invalidate_tag(tag.as_ref())
    }

    /// The SQL that makes the tables and functions of
    /// [`Builder::transactional_invalidation`](crate::Builder::transactional_invalidation), for a migration, or for whoever
    /// may make them where this program's role may not. Run again, it changes nothing.
    ///
    /// The program's role needs SELECT, INSERT, UPDATE and DELETE on the three tables. Whoever writes needs nothing but to
    /// be allowed to call the functions, as everybody is until you `REVOKE EXECUTE … FROM PUBLIC`.
    #[cfg(feature = "postgres")]
    #[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
    pub fn outbox_sql(&self) -> String {
        format!("{};\n", self.0.names.creation())
    }

    /// What happened since the runtime was built.
    pub fn stats(&self) -> Stats {
        self.0.events.stats()
    }

    /// The same of one function: by its label, `module::function`, or what its option `name` says, or
    /// [`Work::name`](crate::Work::name), which is `work` where it is left out. Zeros, if there was no call of it.
    ///
    /// ```
    /// use worksharing::{WorkSharing, work_shared};
    ///
    /// #[work_shared(via = sharing, key = "price:{article}", name = "prices")]
    /// fn price(sharing: &WorkSharing, article: u32) -> u32 {
    ///     article * 10
    /// }
    ///
    /// let sharing = WorkSharing::in_memory();
    /// assert_eq!((price(&sharing, 1), price(&sharing, 1)), (10, 10));
    /// let stats = sharing.stats_of("prices");
    /// assert_eq!((stats.computed, stats.hits), (1, 1));
    /// ```
    ///
    /// A value that [`local`](crate::Work::local) keeps counts for the function whose call stored or found it.
    pub fn stats_of(&self, function: &str) -> Stats {
        let by_function = self.0.events.by_function();
        by_function.get(function).copied().unwrap_or_default()
    }

    /// The same of each function that was called, in the order of their labels. Of the first 1,000; what comes after is
    /// counted together as `others`. Invalidations count as `invalidate` and `invalidate_tag`.
    pub fn stats_by_function(&self) -> impl Iterator<Item = (&'static str, Stats)> + use<> {
        self.0.events.by_function().into_iter()
    }

    /// What is being computed now, by all processes that exclude each other with this runtime's locks, the longest first:
    /// for a page or a command of yours that shows it. Of this process everything; of the others what has lasted for
    /// over a second and holds its key's lock. Who died is not in it any more.
    ///
    /// ```
    /// use worksharing::WorkSharing;
    ///
    /// # fn main() -> Result<(), worksharing::Error> {
    /// let sharing = WorkSharing::in_memory();
    /// let under_way = sharing.work("answer").run_blocking(|| {
    ///     let computing = sharing.computing_blocking();
    ///     computing.map(|computing| computing[0].key.clone()).unwrap_or_default()
    /// });
    /// assert_eq!(under_way, "answer");
    /// assert!(sharing.computing_blocking()?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// With locks in PostgreSQL it asks the server, by one statement that lists the server's locks: not to be called
    /// more often than somebody looks. Other processes tell of themselves in the table `worksharing_computing` (the
    /// name begins with that of [`Builder::table`]), which is made when the first computation lasts, or by
    /// [`check`](Self::check). Behind a transaction pooler nobody is known to wait. With a lock of your own only this
    /// process is in it.
    ///
    /// # Errors
    /// The server cannot be reached; or its table cannot be made or read by this role: says what somebody is to run.
    ///
    /// # Cancel safety
    /// Dropped, it leaves nothing behind.
    pub async fn computing(&self) -> Result<Vec<Computation>, Error> {
        self.0.computing.read().await
    }

    /// [`computing`](Self::computing), blocking this thread.
    ///
    /// # Errors
    /// As of [`computing`](Self::computing).
    pub fn computing_blocking(&self) -> Result<Vec<Computation>, Error> {
        block_on(self.computing())
    }

    /// For the end of a program: waits until what runs [detached](crate::Work::detach) has ended, and the locks that were
    /// released before are free for others, for at most this long. From now on no computation of this runtime is
    /// detached, and none begun in the background; calls go on.
    ///
    /// # Errors
    /// Not all of it was done in time: says how much was not. What is still running then is lost if the program ends.
    ///
    /// # Cancel safety
    /// Dropped, it waits no more; nothing is detached from then on all the same.
    pub async fn drain(&self, timeout: Duration) -> Result<(), Error> {
        let deadline = Instant::now().checked_add(timeout);
        match self.0.detached.drain(deadline).await {
            0 => {}
            1 => return Err(left("1 detached computation is", timeout)),
            more => return Err(left(&format!("{more} detached computations are"), timeout)),
        }
        let flushed = until(pin!(self.0.flush()), deadline).await;
        flushed.unwrap_or_else(|| Err(left("the release of locks is", timeout)))
    }

    /// [`drain`](Self::drain), blocking this thread.
    ///
    /// # Errors
    /// As of [`drain`](Self::drain).
    pub fn drain_blocking(&self, timeout: Duration) -> Result<(), Error> {
        block_on(self.drain(timeout))
    }

    pub(crate) fn new(runtime: Runtime) -> Self {
        Self(Arc::new(runtime))
    }

    pub(crate) fn runtime(&self) -> &Arc<Runtime> {
        &self.0
    }

    /// Whether both are one runtime.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

fn left(what: &str, timeout: Duration) -> Error {
    Error::unavailable(format!(
        "{what} still under way after {timeout:?}: give `drain` more time, or end the program without it"
    ))
}

impl AsRef<WorkSharing> for WorkSharing {
    fn as_ref(&self) -> &WorkSharing {
        self
    }
}

impl fmt::Debug for WorkSharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
