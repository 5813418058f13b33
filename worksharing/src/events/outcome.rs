/// How a call ended. Each that is answered has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Outcome {
    /// With a value that is kept in this process.
    Local = 1,
    /// With a fresh value of the store, without waiting.
    Hit,
    /// With a value past its time to live.
    Stale,
    /// With what another call computed.
    Shared,
    /// It computed.
    Computed,
    /// It computed, and its body ended in an error or a panic.
    Failed,
    /// It had waited for as long as it may.
    Timeout,
    /// It computed, and had to do without a server on its way.
    Degraded,
}

impl Outcome {
    pub(crate) const ALL: [Self; 8] = [
        Self::Local,
        Self::Hit,
        Self::Stale,
        Self::Shared,
        Self::Computed,
        Self::Failed,
        Self::Timeout,
        Self::Degraded,
    ];

    /// As in labels and spans.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Shared => "shared",
            Self::Computed => "computed",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Degraded => "degraded",
        }
    }

    /// The place in [`ALL`](Self::ALL).
    #[cfg(feature = "metrics")]
    pub(crate) fn place(self) -> usize {
        self as usize - 1
    }

    /// Of its number; `None` of zero.
    pub(crate) fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}
