//! Stories on a real control plane: what people, controllers and kubelets see of PoolGuard, and what
//! they do not see while it is restarted, rotates its certificates, or is down.
//!
//! With `KUBEBUILDER_ASSETS` set, a folder with `etcd` and `kube-apiserver`, this starts both, and
//! PoolGuard as a process that registers itself. Without it, every story is skipped. The stories
//! share one cluster, and go from one that is guarded to one that is not.
#![expect(clippy::print_stdout, reason = "a test runner prints what it runs")]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod plane;
mod stories;
mod user;
mod world;

/// Parts of the integration tests.
#[path = "../it"]
#[allow(dead_code, reason = "other tests use more")]
mod it {
    pub(crate) mod live {
        pub(crate) mod replica;
        pub(crate) mod service;
    }
}

use std::{
    env,
    io::Write as _,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    pin::Pin,
    process::ExitCode,
    time::Instant,
};

use futures_util::FutureExt as _;

use self::world::World;

const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// Something that must be so.
struct Story {
    name: &'static str,
    run: for<'w> fn(&'w mut World) -> Pin<Box<dyn Future<Output = ()> + 'w>>,
}

/// What of the arguments of a test runner matters here.
struct Arguments {
    filters: Vec<String>,
    is_exact: bool,
    lists: bool,
}

impl Arguments {
    fn read() -> Self {
        let (mut filters, mut is_exact, mut lists) = (Vec::new(), false, false);
        for argument in env::args().skip(1) {
            match argument.as_str() {
                "--exact" => is_exact = true,
                "--list" => lists = true,
                flag if flag.starts_with("--") => {}
                filter => filters.push(filter.to_owned()),
            }
        }
        Self { filters, is_exact, lists }
    }

    fn selects(&self, story: &Story) -> bool {
        let matches = |filter: &String| {
            if self.is_exact { story.name == filter } else { story.name.contains(filter.as_str()) }
        };
        self.filters.is_empty() || self.filters.iter().any(matches)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::read();
    let (selected, others): (Vec<_>, Vec<_>) =
        stories::all().into_iter().partition(|story| arguments.selects(story));
    if arguments.lists {
        for story in &selected {
            println!("{}: test", story.name);
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", selected.len());
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    match assets() {
        _ if selected.is_empty() => {}
        Some(assets) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            (passed, failed) = runtime.block_on(tell(&selected, assets));
        }
        None => {
            println!("skipped: {ASSETS} is not set");
            ignored = selected.len();
        }
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {result}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; \
         {} filtered out\n",
        others.len()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The folder of the binaries, relative to the package like everything else.
fn assets() -> Option<PathBuf> {
    let assets = env::var_os(ASSETS).filter(|assets| !assets.is_empty())?;
    Some(Path::new(env!("CARGO_MANIFEST_DIR")).join(assets))
}

/// Runs the stories; how many passed, and how many failed.
async fn tell(stories: &[Story], assets: PathBuf) -> (usize, usize) {
    let mut world = World::start(assets).await;
    let (mut passed, mut failed) = (0, 0);
    for story in stories {
        print!("test {} ... ", story.name);
        drop(std::io::stdout().flush());
        let began = Instant::now();
        let told = AssertUnwindSafe((story.run)(&mut world)).catch_unwind().await;
        let took = began.elapsed().as_secs_f64();
        if told.is_ok() {
            println!("ok <{took:.1}s>");
            passed += 1;
            continue;
        }
        failed += 1;
        println!("FAILED <{took:.1}s>");
        for replica in &world.replicas {
            let log = replica.log();
            println!("{}", log[log.len().saturating_sub(30)..].join("\n"));
        }
        println!("{}", world.plane.log());
        if !world.plane.is_running() {
            println!("the control plane has ended");
            break;
        }
    }
    (passed, failed)
}
