use std::collections::HashMap;
use std::future::ready;

use async_trait::async_trait;
use worksharing::{WorkSharing, work_shared};

/// A shop, with a runtime of its own.
#[derive(Debug, Clone)]
pub struct Shop {
    /// Which one.
    id: u32,
    /// Its runtime.
    sharing: WorkSharing,
}

impl Shop {
    /// A new one.
    #[must_use]
    pub fn new(id: u32) -> Self {
        Self {
            id,
            sharing: WorkSharing::in_memory(),
        }
    }

    /// A method.
    #[work_shared(via = self.sharing, key = "shop:{self.id}", handle = count_call)]
    #[must_use]
    pub fn count(&self) -> u32 {
        self.id
    }

    /// Many ids, and a receiver that is lent anew.
    #[work_shared(each = id in ids, via = self.sharing, key = "shop:{self.id}:{id}", skip())]
    pub async fn sell_all(&mut self, ids: &[u32]) -> HashMap<u32, u32> {
        self.id += ready(1).await;
        ids.iter().map(|id| (*id, self.id)).collect()
    }

    /// A method that changes its receiver.
    #[work_shared(via = &self.sharing, skip(self))]
    pub async fn sell(&mut self, number: u32) -> u32 {
        self.id += number;
        ready(self.id).await
    }

    /// A detached method.
    #[work_shared(detach, via = self.sharing, key = "slow:{self.id}:{text}", tags("{self.id}"), handle = slow_call)]
    pub async fn slow(&self, text: &str) -> u32 {
        ready(()).await;
        if text.is_empty() {
            return 0;
        }
        self.id
    }

    /// A detached method that has its receiver.
    #[work_shared(detach, via = self.sharing, skip(self), wait = "2s", on_timeout = 7)]
    #[must_use]
    pub fn spent(mut self) -> u32 {
        self.id += 1;
        self.id
    }

    /// An associated function.
    #[work_shared(handle = Self::open_call)]
    #[must_use]
    pub(crate) fn open(number: u32) -> u32 {
        number
    }

    /// Calls the other.
    #[must_use]
    pub fn opened() -> u32 {
        Self::open(1)
    }
}

/// A trait.
#[async_trait]
pub trait Pages {
    /// A page.
    async fn page(&self, path: &str, fresh: bool) -> Option<String>;

    /// A detached one.
    async fn detached(&self, path: &str, _tag: Option<&str>, pair: (u32, u32)) -> Option<u32>;

    /// A provided method.
    #[work_shared(key = "provided:{number}")]
    async fn provided(&self, number: u32) -> u32 {
        number
    }

    /// Arguments that only the key looks at.
    #[work_shared(skip(self))]
    async fn tagged(&self, _tag: Option<&str>, (_left, _): (u32, u32)) -> u32 {
        ready(1).await
    }
}

#[async_trait]
impl Pages for Shop {
    #[work_shared(via = self.sharing, key = "{self.id}:{path}", force_refresh = fresh)]
    async fn page(&self, path: &str, fresh: bool) -> Option<String> {
        Some(path.to_owned())
    }

    #[work_shared(detach, via = self.sharing, key = "{self.id}:{path}:{_tag:?}", tags(function, "{_tag:?}"))]
    async fn detached(
        &self,
        path: &str,
        _tag: Option<&str>,
        (left, mut right): (u32, u32),
    ) -> Option<u32> {
        right += self.id;
        ready(path.is_empty()).await.then_some(left ^ right)
    }
}
