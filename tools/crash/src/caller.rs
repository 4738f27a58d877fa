//! JSON-RPC 2.0 over HTTP: how validators and storage nodes are asked.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::Agent;

use crate::client::Trouble;

/// Longest answer, in bytes.
const ANSWER_LEN_LIMIT: u64 = 32 << 20;

/// One server. Clones share its connections.
#[derive(Clone)]
pub struct Caller {
    agent: Agent,
    url: String,
}

/// What a server answers, if it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The result.
    Result(Value),
    /// A refusal: its message and, where there are some, its data.
    Refusal(String),
}

impl Caller {
    /// The server at `address`, whose answer counts as lost after `silence`.
    pub fn new(address: impl std::fmt::Display, silence: Duration) -> Caller {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(silence))
            .build();
        Caller {
            agent: config.into(),
            url: format!("http://{address}/"),
        }
    }

    /// Asks, and reads the result; a refusal is strange.
    pub fn read<T: DeserializeOwned>(&self, method: &str, params: &Value) -> Result<T, Trouble> {
        let result = self.call(method, params)?;
        serde_json::from_value(result)
            .map_err(|why| Trouble::Strange(format!("{method} {params}: {why}")))
    }

    /// Asks; a refusal is strange.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value, Trouble> {
        match self.ask(method, params)? {
            Said::Result(result) => Ok(result),
            Said::Refusal(why) => Err(Trouble::Strange(format!("{method} {params}: {why}"))),
        }
    }

    /// Asks.
    pub fn ask(&self, method: &str, params: &Value) -> Result<Said, Trouble> {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut answer = self.post(&call)?;
        if let Some(result) = answer.get_mut("result") {
            return Ok(Said::Result(result.take()));
        }
        let error = &answer["error"];
        match (error["message"].as_str(), error["data"].as_str()) {
            (Some(message), Some(data)) => Ok(Said::Refusal(format!("{message}; data: {data}"))),
            (Some(message), None) => Ok(Said::Refusal(message.to_owned())),
            (None, _) => Err(Trouble::Strange(format!("{method}: {answer}"))),
        }
    }

    /// Sends a call, or a batch of them.
    pub fn post(&self, body: &Value) -> Result<Value, Trouble> {
        let sent = self.agent.post(&self.url).send_json(body);
        let mut answer = sent.map_err(|why| Trouble::Lost(why.to_string()))?;
        let body = answer.body_mut().with_config().limit(ANSWER_LEN_LIMIT);
        let bytes = body
            .read_to_vec()
            .map_err(|why| Trouble::Lost(why.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|why| Trouble::Strange(why.to_string()))
    }
}
