//! What the processes live through.

use std::thread;
use std::time::Duration;

use tests::{Stop, marker, now_us};
use worksharing::Key;

use super::{Kind, Soak};

impl Soak {
    /// Some of it, seldom.
    pub(crate) fn trouble(&mut self, kind: Kind) {
        if kind == Kind::Changing {
            self.evict();
        }
        if self.random.one_of(20) > 0 {
            return;
        }
        match kind {
            Kind::Quiet => self.no_harm(),
            Kind::Stormy => self.storm(),
            Kind::Changing if self.random.one_of(4) == 0 => {
                self.servers.postgres.terminate_lock_sessions();
            }
            Kind::Changing => self.no_harm(),
        }
    }

    /// What no promise may suffer from.
    fn no_harm(&mut self) {
        match self.random.one_of(4) {
            0 => self.kill_one(),
            1 => self.postgres.delay(ms(self.random.one_of(5))),
            2 => self.redis.delay(ms(self.random.one_of(5))),
            _ => self.freeze_one(ms(30)),
        }
    }

    /// What may cost executions.
    fn storm(&mut self) {
        match self.random.one_of(8) {
            0 => self.servers.redis.restart(),
            1 => self.servers.postgres.restart(),
            2 => {
                self.servers.postgres.stop(Stop::Immediate);
                thread::sleep(ms(self.random.one_of(500)));
                self.servers.postgres.start_again();
            }
            3 => {
                self.servers.postgres.terminate_lock_sessions();
            }
            4 => self.postgres.cut(),
            5 => self.redis.cut(),
            6 => {
                let proxy = if self.random.one_of(2) == 0 {
                    &self.postgres
                } else {
                    &self.redis
                };
                proxy.freeze();
                thread::sleep(ms(300));
                proxy.thaw();
            }
            _ => self.kill_one(),
        }
    }

    fn kill_one(&mut self) {
        let index = self.any_worker();
        let mut dead = self.workers.swap_remove(index);
        dead.kill9();
        self.killed.insert(dead.pid(), now_us());
        self.events.extend(dead.last_events());
        self.witness.logged(dead.pid(), dead.take_logged());
        let successor = self.worker();
        self.workers.push(successor);
    }

    fn freeze_one(&mut self, time: Duration) {
        let index = self.any_worker();
        let from = now_us();
        self.workers[index].sigstop();
        thread::sleep(time);
        self.workers[index].sigcont();
        let pid = self.workers[index].pid();
        self.witness.froze(pid, from, now_us());
    }

    /// Half of what the store may lose by now, it loses; and now and then a tag's marker, however young.
    fn evict(&mut self) {
        let Some(values) = &mut self.values else {
            return;
        };
        for tag in self.keys.tags() {
            let key = marker(tag);
            let seen = values.seen(&key);
            let may = self.random.one_of(40) == 0 && !seen.is_empty();
            if may && values.evict(&key, &seen) {
                self.fates.evictions += 1;
            }
        }
        for name in self.keys.names() {
            let key = Key::new(name.as_str());
            let Some(seen) = self.old_entries.look(values, &key) else {
                continue;
            };
            if self.random.one_of(2) == 0 && values.evict(&key, &seen) {
                self.fates.evictions += 1;
            }
        }
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
