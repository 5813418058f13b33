//! The fate of a computation over processes: it outlives its callers, its outcome is for all who waited, and nobody
//! waits for longer than it says. Cases 36, 37, 39, 40 and 41.

use std::thread;
use std::time::Duration;

use tests::{
    Call, Callers, End, GAVE_UP, Mesh, NOTHING, Options, Proxy, Run, Servers, Setup, Timeline,
    Worker, now_us, on_each_setup, wait_until,
};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn micros(from: u64, to: u64) -> Duration {
    Duration::from_micros(to.saturating_sub(from))
}

// ---- Case 36: callers that are impatient cannot starve a computation that is detached.

#[test]
fn impatient_callers_do_not_starve_a_detached_computation() {
    on_each_setup(|setup| {
        let mut mesh = Mesh::start(3, WORKER, setup);
        let run = Run::of("impatient", ms(800))
            .callers(Callers::Tasks(4))
            .options(Options::detach());
        mesh.run(&run.clone().gives_up(ms(300)));
        let timeline = mesh.wait_for_answers("impatient", 12);
        let gave_up = Err(GAVE_UP.to_owned());
        assert!(timeline.answers().iter().all(|answer| *answer == gave_up));
        // Nobody is there any more.
        mesh.wait_for_bodies("impatient", 1);
        let later = now_us();
        mesh.run(&run);
        let timeline = mesh.wait_for_answers("impatient", 24);
        assert_eq!(timeline.executions(), 1);
        let served = timeline.since(later);
        assert_eq!((served.values().len(), served.errors().len()), (1, 0));
        assert_eq!(mesh.stats().stored, 1);
    });
}

// ---- Case 37: what is not stored is for all who waited in the process.

#[test]
fn nothing_is_an_answer_for_all_who_waited_in_the_process() {
    on_each_setup(|setup| {
        let mut mesh = Mesh::start(3, WORKER, setup);
        let body = ms(1_000);
        let run = Run::of("nothing", body)
            .callers(Callers::Mixed(20))
            .end(End::Nothing);
        let timeline = mesh.run_all(&run);
        let bodies = timeline.executions();
        assert!(
            bodies <= 3,
            "{bodies} bodies, of which each is for the callers of its process"
        );
        assert_eq!(timeline.max_overlap(), 1);
        let nothing = Ok(NOTHING.to_owned());
        assert!(timeline.answers().iter().all(|answer| *answer == nothing));
        // Three bodies and 0.3 s where there is nothing else to do.
        let longest = timeline.longest_call();
        assert!(longest < body * 3 + ms(2_000), "{longest:?}");
        // It is not stored: who comes later computes.
        mesh.workers[0].run(&Run::of("nothing", ms(10)).end(End::Nothing));
        mesh.workers[0].wait(21);
        assert_eq!(mesh.timeline().executions(), bodies + 1);
    });
}

#[test]
fn nothing_that_is_stored_is_for_all() {
    on_each_setup(|setup| {
        let mut mesh = Mesh::start(3, WORKER, setup);
        let options = Options {
            cache_none: true,
            ..Options::default()
        };
        let run = Run::of("stored nothing", ms(500))
            .callers(Callers::Mixed(20))
            .end(End::Nothing)
            .options(options);
        let timeline = mesh.run_all(&run);
        assert_eq!(timeline.executions(), 1);
        let nothing = Ok(NOTHING.to_owned());
        assert!(timeline.answers().iter().all(|answer| *answer == nothing));
    });
}

// ---- Case 38: an error that is stored is for all processes, until it runs out.

#[test]
fn error_that_is_stored_is_for_all_processes_until_it_runs_out() {
    on_each_setup(|setup| {
        let mut mesh = Mesh::start(3, WORKER, setup);
        let time = ms(3_000);
        let options = Options {
            cache_err: Some(time),
            ..Options::default()
        };
        let run = Run::of("stored error", ms(500))
            .callers(Callers::Mixed(20))
            .end(End::Fail)
            .options(options);
        let errors = mesh.run_all(&run).errors();
        assert_eq!(mesh.timeline().executions(), 1);
        assert_eq!(errors.len(), 1, "{errors:?}");
        // The first body since then begins when the error has run out, and not before.
        wait_until(LIMIT, "a second body", || {
            mesh.workers[0].run(&run.clone().callers(Callers::Tasks(1)));
            let answers = mesh.timeline().answers().len();
            mesh.wait_for_answers("stored error", answers + 1);
            mesh.timeline().executions() == 2
        });
        let bodies = mesh.timeline().bodies();
        let ended = bodies[0].end.as_ref().unwrap().0;
        let between = micros(ended, bodies[1].begun.at_us);
        assert!(between >= time - ms(100), "{between:?}");
    });
}

// ---- Case 39: nobody waits for longer than it says.

const PATIENCE: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_millis(2_000);
const BUSY: &str = "busy";

/// One caller leads in the first process, then three follow there and four in the second one. Returns the calls of the
/// key, once all are answered and all bodies have ended.
fn lead_and_follow(mesh: &mut Mesh, key: &str, callers: fn(usize) -> Callers, options: &Options) {
    let run = Run::of(key, LONG).options(options.clone());
    mesh.workers[0].run(&run.clone().callers(callers(1)));
    mesh.wait_for_leader(key);
    mesh.workers[0].run(&run.clone().callers(callers(3)));
    mesh.workers[1].run(&run.callers(callers(4)));
}

/// Every kind of caller, detached and not, each on a key of its own.
fn each_kind(mut test: impl FnMut(&str, fn(usize) -> Callers, bool)) {
    for detach in [false, true] {
        let how = if detach { "detached" } else { "inline" };
        test(&format!("{how}, threads"), Callers::Threads, detach);
        test(&format!("{how}, tasks"), Callers::Tasks, detach);
    }
}

#[test]
fn whoever_has_waited_for_long_enough_gets_what_on_timeout_says() {
    on_each_setup(|setup| {
        let mut mesh = Mesh::start(2, WORKER, setup);
        let options = |detach| Options {
            wait: Some(PATIENCE),
            on_timeout: Some(BUSY.to_owned()),
            detach,
            ..Options::default()
        };
        each_kind(|key, callers, detach| {
            lead_and_follow(&mut mesh, key, callers, &options(detach))
        });
        each_kind(|key, _, detach| {
            let timeline = mesh.wait_for_answers(key, 8);
            mesh.wait_for_bodies(key, 1);
            assert_eq!(timeline.executions(), 1, "{key}");
            // A leader waits for its own body only where that is detached.
            let (busy, served): (Vec<Call>, Vec<Call>) =
                timeline.calls().into_iter().partition(is_busy);
            let others = if detach { 8 } else { 7 };
            assert_eq!((busy.len(), served.len()), (others, 8 - others), "{key}");
            assert!(busy.iter().all(|call| call.time() >= PATIENCE), "{key}");
        });
        // Each of them went on, and was stored.
        each_kind(|key, _, _| {
            let value = mesh.timeline().key(key).last_value();
            wait_until(LIMIT, "it is stored", || mesh.workers[1].peek(key) == value);
        });
        assert_eq!(mesh.stats().timed_out, 7 + 7 + 8 + 8);
    });
}

fn is_busy(call: &Call) -> bool {
    call.answer.as_deref() == Ok(BUSY)
}

#[test]
fn whoever_has_waited_for_long_enough_computes_with_the_others_of_its_process() {
    on_each_setup(|setup| {
        let mut mesh = Mesh::start(2, WORKER, setup);
        let options = |detach| Options {
            wait: Some(PATIENCE),
            detach,
            ..Options::default()
        };
        each_kind(|key, callers, detach| {
            lead_and_follow(&mut mesh, key, callers, &options(detach))
        });
        let (first, second) = (mesh.workers[0].pid(), mesh.workers[1].pid());
        each_kind(|key, _, detach| {
            let timeline = mesh.wait_for_answers(key, 8);
            assert_eq!(timeline.errors().len(), 0, "{key}");
            let of = |pid| timeline.process(pid).executions();
            // Beside a body of its own process that goes on anyway nobody begins another.
            assert_eq!(of(first), if detach { 1 } else { 2 }, "{key}");
            assert_eq!(of(second), 1, "{key}");
        });
    });
}

#[test]
fn dead_store_does_not_make_the_lock_a_global_mutex() {
    let mut servers = Servers::start();
    let mut mesh = Mesh::start(20, WORKER, &servers.setup());
    for worker in &mut mesh.workers {
        assert_eq!(worker.check(), None);
    }
    servers.redis.stop();
    let timeline = mesh.run_all(&Run::of("alone", ms(1_000)));
    assert_eq!((timeline.served(), timeline.errors().len()), (20, 0));
    let longest = timeline.longest_call();
    eprintln!("the last of 20 processes was served after {longest:?}");
    assert!(longest < ms(8_000), "one after the other: {longest:?}");
}

// ---- Case 40: refreshes share.

#[test]
fn refreshes_at_once_share_what_was_computed_after_they_asked() {
    on_each_setup(|setup| {
        let mut mesh = Mesh::start(3, WORKER, setup);
        mesh.run_all(&Run::of("refreshed", ms(10)));
        let before = now_us();
        let run = Run::of("refreshed", ms(1_000)).callers(Callers::Mixed(10));
        mesh.run(&run.force_refresh());
        let timeline = mesh.wait(11).since(before);
        let bodies = timeline.executions();
        eprintln!("30 refreshes cost {bodies} bodies");
        assert!(bodies <= 4, "{bodies}");
        assert_eq!(timeline.max_overlap(), 1);
        for call in timeline.calls() {
            let value = call.answer.clone().unwrap();
            let body = timeline.body_of(&value).expect("one of these");
            assert!(body.begun.at_us >= call.called.at_us, "{call:?}: {body:?}");
        }
    });
}

// ---- Case 41: the end of a process.

fn draining(setup: Setup) -> Setup {
    Setup {
        drains_for: Some(LIMIT),
        ..setup
    }
}

fn end_by_draining(worker: &mut Worker) -> u64 {
    assert_eq!(worker.drain(), None);
    wait_until(LIMIT, "it has ended", || !worker.is_alive());
    now_us()
}

#[test]
fn detached_computation_is_finished_before_its_process_ends() {
    on_each_setup(|setup| {
        let mut mesh = Mesh::start(2, WORKER, &draining(setup.clone()));
        let run = Run::of("deployed", ms(1_500)).options(Options::detach());
        let impatient = run.clone().callers(Callers::Tasks(1)).gives_up(ms(100));
        mesh.workers[0].run(&impatient);
        mesh.wait_for_leader("deployed");
        mesh.wait_for_answers("deployed", 1);
        end_by_draining(&mut mesh.workers[0]);
        mesh.workers[1].run(&run);
        mesh.workers[1].wait(1);
        let value = mesh.timeline().last_value().unwrap();
        assert_eq!(mesh.timeline().executions(), 1);
        assert!(mesh.timeline().values().contains(&value));
    });
}

/// What has failed leaves nothing but its lock. Who waits elsewhere is told of the release, and need not find out.
#[test]
fn release_is_sent_before_a_process_ends() {
    let servers = Servers::start();
    let proxy = Proxy::to(servers.postgres.port());
    let far = Setup {
        postgres: Some(proxy.postgres_url()),
        ..draining(servers.setup())
    };
    let mut waiting = Worker::start(WORKER, &servers.setup());
    let mut took: Vec<_> = (0..5)
        .map(|round| release_at_the_end(&proxy, &far, &mut waiting, round))
        .collect();
    took.sort_unstable();
    eprintln!("the waiter went on after {took:?}");
    assert!(took[2] < ms(50), "{took:?}");
}

fn release_at_the_end(proxy: &Proxy, far: &Setup, waiting: &mut Worker, round: usize) -> Duration {
    let key = format!("released {round}");
    let left = |worker: &Worker| Timeline::of([worker]).key(&key);
    let mut leaving = Worker::start(WORKER, far);
    assert_eq!((leaving.check(), waiting.check()), (None, None));
    proxy.delay(ms(30));
    let failing = Run::of(&key, ms(1_500)).end(End::Fail);
    leaving.run(&failing.options(Options::detach()));
    wait_until(LIMIT, "it computes", || !left(&leaving).begins().is_empty());
    waiting.run(&Run::of(&key, Duration::ZERO));
    // So that it waits for a while, and polls but seldom.
    thread::sleep(ms(700));
    let exit = end_by_draining(&mut leaving);
    waiting.wait(round + 1);
    proxy.delay(Duration::ZERO);
    micros(exit, left(waiting).begins()[0].at_us)
}
