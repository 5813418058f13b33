use std::iter::Sum;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};
use worksharing::Stats;

macro_rules! counts {
    ($($name:ident)*) => {
        /// [`Stats`], for the way between processes.
        #[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "they are documented there")]
        pub struct WorkerStats {
            $(pub $name: u64,)*
        }

        impl From<Stats> for WorkerStats {
            fn from(stats: Stats) -> Self {
                Self { $($name: stats.$name,)* }
            }
        }

        impl Add for WorkerStats {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self { $($name: self.$name + other.$name,)* }
            }
        }

        impl Sub for WorkerStats {
            type Output = Self;

            fn sub(self, before: Self) -> Self {
                Self { $($name: self.$name - before.$name,)* }
            }
        }
    };
}

counts! { hits local computed waited shared stale timed_out failed stored refused degraded unreadable recursive }

impl Sum for WorkerStats {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}
