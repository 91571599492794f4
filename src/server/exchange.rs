//! A request and its answer, and what they hold of the server's capacity.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::time::Instant;

use super::{
    capacity::{Peer, SMALL, Ticket},
    fault::Fault,
};

/// One request, from the end of its header until its answer has been written or given up. Dropping the
/// exchange gives back what it holds.
pub(super) struct Exchange {
    peer: Arc<Peer>,
    holds: Holds,
    /// The request's entry among the waiting ones, while it waits for its body and may have to give way.
    ticket: Option<Ticket>,
    is_waiting: bool,
    unwritten: Option<u32>,
}

/// The share of the server's capacity that an exchange holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Nothing,
    /// A place among the requests in flight, and bytes.
    Place {
        bytes: usize,
    },
    /// A place among the requests that get an error.
    Refusal,
}

impl Exchange {
    pub(super) fn begin(peer: Arc<Peer>, arrived: Instant) -> Self {
        peer.activity.begin(arrived);
        Self { peer, holds: Holds::Nothing, ticket: None, is_waiting: false, unwritten: None }
    }

    /// Takes a place among the requests in flight.
    pub(super) async fn admit(&mut self) -> Result<(), Fault> {
        self.peer.capacity.take_request().await?;
        self.holds = Holds::Place { bytes: 0 };
        Ok(())
    }

    /// Takes more bytes until the exchange holds `bytes`, unless it holds them already.
    pub(super) async fn hold(&mut self, bytes: usize) -> Result<(), Fault> {
        let Holds::Place { bytes: held } = self.holds else { return Err(Fault::Overloaded) };
        let more = bytes.saturating_sub(held);
        if more == 0 {
            return Ok(());
        }
        let capacity = &self.peer.capacity;
        capacity.take_bytes(held, more).await?;
        if let Some(ticket) = &self.ticket
            && !capacity.hold_while_waiting(ticket, more)
        {
            return Err(Fault::GaveWay);
        }
        self.holds = Holds::Place { bytes };
        Ok(())
    }

    /// Waits for the client's bytes; ready when the request has given way to another one.
    pub(super) fn poll_given_way(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_waiting {
            self.is_waiting = true;
            self.peer.activity.wait();
            if let Holds::Place { bytes } = self.holds {
                self.ticket = Some(self.peer.capacity.wait(bytes));
            }
        }
        self.ticket.as_ref().map_or(Poll::Pending, |ticket| ticket.poll_given_way(cx))
    }

    /// Ends the waiting for the body, which has arrived, and returns whether the request had to wait for
    /// it.
    pub(super) fn arrived(&mut self) -> Result<bool, Fault> {
        let has_waited = mem::take(&mut self.is_waiting);
        if has_waited {
            self.peer.activity.stop_waiting();
        }
        if let Some(ticket) = self.ticket.take()
            && self.peer.capacity.stop_waiting(&ticket).is_none()
        {
            self.holds = Holds::Nothing;
            return Err(Fault::GaveWay);
        }
        Ok(has_waited)
    }

    /// Holds the bytes of the answer instead of those of the body.
    pub(super) async fn exchange_bytes(&mut self, answer: usize) -> Result<(), Fault> {
        let Holds::Place { bytes } = self.holds else { return Err(Fault::Overloaded) };
        if answer <= bytes && bytes <= SMALL {
            // Nearly always: it holds a little too much for a moment.
            return Ok(());
        }
        self.peer.capacity.give_back(0, bytes);
        self.holds = Holds::Place { bytes: 0 };
        self.hold(answer).await
    }

    /// Gives back what the exchange holds, and counts a refusal: the request gets an error.
    pub(super) fn refuse(&mut self) {
        self.release();
        self.peer.capacity.begin_refusal();
        self.holds = Holds::Refusal;
    }

    /// Marks the answer as made at `now`. It counts as unwritten until the exchange is dropped.
    pub(super) fn answered(&mut self, now: Instant) {
        if self.unwritten.is_none() {
            self.unwritten = Some(self.peer.activity.answered(now));
        }
    }

    fn release(&mut self) {
        // Whether it has given way in the meantime makes no difference here.
        drop(self.arrived());
        match mem::replace(&mut self.holds, Holds::Nothing) {
            Holds::Nothing => {}
            Holds::Place { bytes } => self.peer.capacity.give_back(1, bytes),
            Holds::Refusal => self.peer.capacity.end_refusal(),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.release();
        if let Some(number) = self.unwritten {
            self.peer.activity.written(number);
        }
        self.peer.activity.end();
    }
}
