//! The load: workers that call as the API server does, until they are told to stop.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    client::Caller, it::live::cluster::CONFIGURATIONS, pair::Pair, reviews::Reviews, tally::Tally,
};

/// The pause of a worker after each call.
const PAUSE: Duration = Duration::from_millis(20);

/// Workers that call, until they are told to stop.
pub(crate) struct Load {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts so many workers, which send the reviews in turn.
    pub(crate) fn start(pair: &Pair, tally: &Arc<Tally>, reviews: Reviews, workers: usize) -> Self {
        let stop = CancellationToken::new();
        let callers = ["/mutate", "/validate"].into_iter().zip(CONFIGURATIONS).map(|it| {
            let (path, configuration) = it;
            let cluster = Arc::clone(&pair.cluster);
            Arc::new(Caller::new(path, configuration, cluster, pair.endpoints.clone()))
        });
        let callers: Vec<_> = callers.collect();
        let following = callers.iter().map(|caller| {
            let (caller, stopped) = (Arc::clone(caller), stop.clone());
            tokio::spawn(async move {
                stopped.run_until_cancelled(caller.follow_the_bundle()).await;
            })
        });
        let mut tasks: Vec<_> = following.collect();
        let reviews = Arc::new(reviews);
        for worker in 0..workers {
            let (callers, reviews) = (callers.clone(), Arc::clone(&reviews));
            let (tally, stopped) = (Arc::clone(tally), stop.clone());
            tasks.push(tokio::spawn(async move {
                let mut turn = worker;
                while !stopped.is_cancelled() {
                    turn += 1;
                    let review = reviews.get(turn);
                    let caller = callers.iter().find(|it| it.path == review.path).unwrap();
                    tally.called(&review.name, caller.call(review).await);
                    sleep(PAUSE).await;
                }
            }));
        }
        Self { stop, tasks }
    }

    /// Lets every worker finish its call.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        for task in std::mem::take(&mut self.tasks) {
            task.await.unwrap();
        }
    }
}

/// A run that ends early leaves nobody to call.
impl Drop for Load {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
