//! Journeys with the real binary: a node in a temporary folder on a free port, and its clients.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

#[path = "journeys/house.rs"]
mod house;

#[path = "journeys/abuse.rs"]
mod abuse;
#[path = "journeys/chain.rs"]
mod chain;
#[path = "journeys/command.rs"]
mod command;
#[path = "journeys/da.rs"]
mod da;
#[path = "journeys/folders.rs"]
mod folders;
#[path = "journeys/http.rs"]
mod http;
#[path = "journeys/life.rs"]
mod life;
#[path = "journeys/operator.rs"]
mod operator;
#[path = "journeys/seals.rs"]
mod seals;
#[path = "journeys/slices.rs"]
mod slices;
#[path = "journeys/storage.rs"]
mod storage;
#[path = "journeys/tls.rs"]
mod tls;
#[path = "journeys/uploads.rs"]
mod uploads;
