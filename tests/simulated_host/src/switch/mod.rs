//! message-switch: named queues, and the rules of its protocol (`ocaml/message-switch/core/protocol.ml`).

mod server;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

pub use server::serve;

use crate::lock;
use crate::wire::Value;

/// The switch: queues and who is logged in.
#[derive(Debug)]
pub struct Switch {
    state: Mutex<State>,
    changed: Condvar,
    /// The queue that xenopsd reads.
    pub xenopsd_queue: String,
}

#[derive(Debug, Default)]
struct State {
    queues: BTreeMap<String, Queue>,
    /// How many connections each session has. A session's transient queues go with its last one.
    sessions: HashMap<String, usize>,
}

#[derive(Debug, Default)]
struct Queue {
    next_id: i64,
    messages: BTreeMap<i64, Message>,
    /// The session that a transient queue belongs to.
    owner: Option<String>,
    /// Whether anybody has ever waited for its messages, which makes it alive.
    is_read: bool,
}

#[derive(Debug, Clone)]
struct Message {
    payload: Vec<u8>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Request { reply_to: String },
    Response { queue: String, id: i64 },
}

/// A message's address: its queue and its number there.
pub type Address = (String, i64);

impl Switch {
    pub fn new(xenopsd_queue: &str) -> Self {
        let switch = Self { state: Mutex::default(), changed: Condvar::new(), xenopsd_queue: xenopsd_queue.to_owned() };
        switch.create_xenopsd_queue();
        switch
    }

    /// xenopsd's queue, which it waits at.
    fn create_xenopsd_queue(&self) {
        self.create(&self.xenopsd_queue, None);
        if let Some(queue) = lock(&self.state).queues.get_mut(&self.xenopsd_queue) {
            queue.is_read = true;
        }
    }

    /// Lets the next message of a queue have that number, so that a recorded conversation can be repeated.
    pub fn set_next_id(&self, queue: &str, id: i64) {
        lock(&self.state).queues.entry(queue.to_owned()).or_default().next_id = id;
    }

    /// Forgets every message and everybody who is logged in, as after a crash.
    pub fn reset(&self) {
        *lock(&self.state) = State::default();
        self.create_xenopsd_queue();
    }

    fn log_in(&self, token: &str) {
        *lock(&self.state).sessions.entry(token.to_owned()).or_default() += 1;
    }

    fn log_out(&self, token: &str) {
        let mut state = lock(&self.state);
        let left = state.sessions.get_mut(token).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            state.sessions.remove(token);
            state.queues.retain(|_, queue| queue.owner.as_deref() != Some(token));
        }
    }

    /// Creates a queue unless it is there.
    fn create(&self, name: &str, owner: Option<&str>) {
        let mut state = lock(&self.state);
        state
            .queues
            .entry(name.to_owned())
            .or_insert_with(|| Queue { owner: owner.map(str::to_owned), ..Queue::default() });
    }

    fn destroy(&self, name: &str) {
        lock(&self.state).queues.remove(name);
    }

    /// The names that begin like that: transient queues first, each kind from last to first.
    fn list(&self, prefix: &str, alive: bool) -> Vec<String> {
        let state = lock(&self.state);
        let of_kind = |transient: bool| {
            let queues = state.queues.iter().rev().filter(move |(_, queue)| queue.is_read || !alive);
            queues.filter(move |(name, queue)| queue.owner.is_some() == transient && name.starts_with(prefix))
        };
        of_kind(true).chain(of_kind(false)).map(|(name, _)| name.clone()).collect()
    }

    /// Puts a message into a queue; `None` if there is no such queue.
    fn send(&self, queue: &str, payload: Vec<u8>, kind: Kind) -> Option<Address> {
        let mut state = lock(&self.state);
        let found = state.queues.get_mut(queue)?;
        let id = found.next_id;
        found.next_id += 1;
        found.messages.insert(id, Message { payload, kind });
        drop(state);
        self.changed.notify_all();
        Some((queue.to_owned(), id))
    }

    fn ack(&self, queue: &str, id: i64) {
        if let Some(queue) = lock(&self.state).queues.get_mut(queue) {
            queue.messages.remove(&id);
        }
    }

    /// Waits for messages of those queues with a number above `from`.
    fn transfer(&self, from: i64, queues: &[String], timeout: Duration, alive: &AtomicBool) -> Vec<(Address, Message)> {
        let until = Instant::now() + timeout;
        let mut state = lock(&self.state);
        for name in queues {
            if let Some(queue) = state.queues.get_mut(name) {
                queue.is_read = true;
            }
        }
        loop {
            let messages = waiting(&state, from, queues);
            if !messages.is_empty() || Instant::now() >= until || !alive.load(Ordering::Relaxed) {
                return messages;
            }
            let pause = until.saturating_duration_since(Instant::now()).min(Duration::from_millis(50));
            state = match self.changed.wait_timeout(state, pause) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

/// The newest of each queue comes first (`transfer` in `ocaml/message-switch/switch/q.ml`).
fn waiting(state: &State, from: i64, queues: &[String]) -> Vec<(Address, Message)> {
    let found = queues.iter().filter_map(|name| Some((name, state.queues.get(name)?)));
    found
        .flat_map(|(name, queue)| {
            queue.messages.range(from + 1..).rev().map(|(id, message)| ((name.clone(), *id), message.clone()))
        })
        .collect()
}

/// An address as the protocol writes it.
fn address((queue, id): &Address) -> Value {
    Value::List(vec![queue.as_str().into(), Value::Int(*id)])
}

impl Message {
    fn to_value(&self) -> Value {
        let kind = match &self.kind {
            Kind::Request { reply_to } => vec!["Request".into(), reply_to.as_str().into()],
            Kind::Response { queue, id } => vec!["Response".into(), address(&(queue.clone(), *id))],
        };
        Value::dict([("payload", Value::Text(self.payload.clone())), ("kind", Value::List(kind))])
    }
}
