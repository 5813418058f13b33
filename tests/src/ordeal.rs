use std::time::Duration;

use crate::plan::{Callers, Run, Setup};
use crate::{Mesh, Resources, Worker, now_us, scenarios, wait_until};

/// Processes that go through a fault of their servers: what may be asked of them meanwhile, and afterwards.
///
/// Every call is answered with a value, in bounded time; a process computes no more than it would alone; each trouble
/// is said once by each process; nothing grows; and when the fault ends work is shared again.
#[derive(Debug)]
pub struct Ordeal {
    /// The processes.
    pub mesh: Mesh,
    asked: usize,
    before: Option<Vec<Resources>>,
}

/// No call may be held up longer than this by a server in trouble.
const HELD_UP: Duration = Duration::from_secs(15);
const LIMIT: Duration = Duration::from_secs(60);
/// How a trouble that lasts begins, and how it ends.
const TROUBLES: [(&str, &str); 3] = [
    ("the store is not used", "the store is used again"),
    ("values are not stored", "values are stored again"),
    ("computing without the lock", "the lock is used again"),
];

impl Ordeal {
    /// Starts processes that share, as long as nothing is wrong.
    pub fn start(processes: usize, program: &str, setup: &Setup) -> Self {
        let mut ordeal = Self::start_amid(processes, program, setup);
        let key = ordeal.key("before");
        scenarios::healed(&mut ordeal.mesh, &key);
        assert_eq!(ordeal.said(), [""; 0]);
        ordeal.nothing_grows();
        ordeal
    }

    /// Starts processes while something is wrong already.
    pub fn start_amid(processes: usize, program: &str, setup: &Setup) -> Self {
        let setup = Setup {
            log: Some("info".to_owned()),
            ..setup.clone()
        };
        Self {
            mesh: Mesh::start(processes, program, &setup),
            asked: 0,
            before: None,
        }
    }

    /// Calls of a cold key, by a thread and a task of each process at the same time. Returns how many bodies that took.
    pub fn call(&mut self) -> usize {
        let key = self.key("call");
        self.run(&Run::of(&key, Duration::from_millis(20)))
    }

    /// A key that nobody has asked for.
    pub fn key(&mut self, what: &str) -> String {
        self.asked += 1;
        format!("{what} {} of {}", self.asked, self.mesh.workers[0].pid())
    }

    /// The same of some cold keys, one after the other.
    pub fn call_often(&mut self) {
        for _ in 0..5 {
            self.call();
        }
    }

    /// The same of this kind.
    pub fn run(&mut self, run: &Run) -> usize {
        let begun = now_us();
        let processes = self.mesh.workers.len();
        self.mesh.run(&run.clone().callers(Callers::Mixed(2)));
        let calls = 2 * processes;
        wait_until(LIMIT, "every call is answered", || {
            self.mesh.timeline().key(&run.key).since(begun).served() >= calls
        });
        let timeline = self.mesh.timeline().key(&run.key).since(begun);
        scenarios::assert_all_served(&timeline, calls);
        let longest = timeline.longest_call();
        eprintln!(
            "{}: {} bodies, at most {longest:?}",
            run.key,
            timeline.executions()
        );
        assert!(longest < HELD_UP, "a call took {longest:?}");
        // Who joined late, and cannot know what was there, is served by a second body.
        let bodies = timeline.executions();
        assert!(bodies <= calls, "{bodies} bodies");
        for worker in &self.mesh.workers {
            let most = timeline.process(worker.pid()).max_overlap();
            assert!(most <= 1, "{most} bodies at once in one process");
        }
        self.nothing_grows();
        bodies
    }

    /// Calls until as many bodies of a key are enough.
    pub fn call_until(&mut self, what: &str, enough: impl Fn(usize) -> bool) {
        let mut bodies = 0;
        wait_until(LIMIT, what, || {
            bodies = self.call();
            enough(bodies)
        });
    }

    /// What is said at `WARN` and worse, each once by each process.
    #[track_caller]
    pub fn said(&self) -> Vec<String> {
        let mut all = Vec::new();
        for worker in &self.mesh.workers {
            let warnings = worker.warnings();
            for line in &warnings {
                let message = message(line);
                let times = warnings
                    .iter()
                    .filter(|line| self::message(line) == message);
                assert_eq!(times.count(), 1, "{message}: {warnings:#?}");
            }
            all.extend(warnings);
        }
        all
    }

    /// A trouble that begins so is said by each process, with one of these words about what is wrong, and what to do.
    #[track_caller]
    pub fn each_says(&self, begins: &str, words: &[&str]) {
        let said = self.said();
        let said: Vec<_> = said.iter().filter(|line| line.contains(begins)).collect();
        assert_eq!(said.len(), self.mesh.workers.len(), "{said:#?}");
        for line in said {
            let has = |word: &&str| line.to_lowercase().contains(&word.to_lowercase());
            assert!(words.iter().any(has), "none of {words:?} in {line}");
        }
    }

    /// A session or two that are being opened come on top of what each process had at first.
    #[track_caller]
    fn nothing_grows(&mut self) {
        let resources = self.mesh.workers.iter().map(Worker::resources);
        let resources: Vec<_> = resources.collect();
        let before = self.before.get_or_insert_with(|| resources.clone());
        for (before, now) in before.iter().zip(resources) {
            let is_more = now.threads > before.threads + 6
                || now.descriptors > before.descriptors + 16
                || now.resident_kib > before.resident_kib + 8 * 1024;
            assert!(!is_more, "{before}, then {now}");
        }
    }

    /// The fault has ended: work is shared again, and the end of what was said is said.
    pub fn ends(&mut self) {
        let key = self.key("afterwards");
        scenarios::healed(&mut self.mesh, &key);
        self.call_until("it is computed once", |bodies| bodies == 1);
        for (begin, end) in TROUBLES {
            wait_until(LIMIT, "the end of each trouble is said", || {
                self.call();
                self.mesh.workers.iter().all(|worker| {
                    let logged = worker.logged();
                    let said = |words| logged.iter().filter(|line| line.contains(words)).count();
                    said(begin) == said(end)
                })
            });
        }
        self.said();
    }
}

/// What a line says, without its time and its fields.
fn message(line: &str) -> &str {
    let rest = line
        .split_once("worksharing")
        .map_or(line, |(_, rest)| rest);
    let rest = rest.split_once(": ").map_or(rest, |(_, rest)| rest);
    let end = [" name=", " error=", " link="];
    let end = end.iter().filter_map(|field| rest.find(field)).min();
    &rest[..end.unwrap_or(rest.len())]
}
