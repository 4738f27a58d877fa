//! What a network tells about itself: for people, and for programs as JSON.

use alloy_primitives::hex;
use serde_json::{Value, json};

use super::plan::{Account, Plan};

/// For programs: `--config-out`.
pub fn config(plan: &Plan, accounts: &[Account]) -> Value {
    let contracts: serde_json::Map<String, Value> = lode_chain_link::addresses::ALL
        .iter()
        .map(|(name, address)| ((*name).to_owned(), json!(address)))
        .collect();
    let accounts: Vec<Value> = accounts
        .iter()
        .map(|account| json!({ "address": account.address, "private_key": account.key }))
        .collect();
    let nodes: Vec<Value> = plan
        .nodes
        .iter()
        .zip(&plan.zgs)
        .map(|(node, zgs)| {
            json!({ "rpc": format!("http://{node}"), "zgs": format!("http://{zgs}") })
        })
        .collect();
    let da: Vec<Value> = plan
        .da
        .iter()
        .map(|at| {
            json!({
                "api": format!("http://{}", at.api),
                "grpc": format!("http://{}", at.grpc),
                "nitro": format!("http://{}", at.nitro),
            })
        })
        .collect();
    let rpc = plan
        .rpc
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    let metrics = plan
        .nodes
        .first()
        .map(|node| format!("http://{node}/metrics"));
    let all: Vec<String> = plan.rpc.iter().map(|rpc| format!("http://{rpc}")).collect();
    json!({
        "chain": {
            "rpc": format!("http://{rpc}"),
            "ws": format!("ws://{rpc}"),
            "id": plan.chain_id,
            "validators": all,
        },
        "api": plan.nodes.first().map(|node| format!("http://{node}")),
        "metrics": metrics,
        "nodes": nodes,
        "da": da,
        "indexer": format!("http://{}", plan.indexer),
        "accounts": accounts,
        "contracts": contracts,
    })
}

/// For people.
pub fn text(plan: &Plan, accounts: &[Account], dir: &std::path::Path) -> String {
    let mut lines = vec![String::new(), format!("  chain     {}", plan.chain_id)];
    for (number, rpc) in plan.rpc.iter().enumerate() {
        let name = if number == 0 { "rpc" } else { "" };
        lines.push(format!("  {name:<8}  http://{rpc}  ws://{rpc}"));
    }
    for (number, (node, zgs)) in plan.nodes.iter().zip(&plan.zgs).enumerate() {
        let name = if number == 0 { "nodes" } else { "" };
        lines.push(format!(
            "  {name:<8}  http://{node}  for 0G's clients http://{zgs}"
        ));
    }
    for (number, at) in plan.da.iter().enumerate() {
        let name = if number == 0 { "da" } else { "" };
        lines.push(format!(
            "  {name:<8}  http://{}  gRPC http://{}  Nitro http://{}",
            at.api, at.grpc, at.nitro
        ));
    }
    lines.push(format!("  indexer   http://{}", plan.indexer));
    lines.push(format!(
        "  trust     {}",
        dir.join("genesis.json").display()
    ));
    lines.push(String::from(
        "  accounts, 10000 ether each, with keys that everybody knows:",
    ));
    for account in accounts {
        let key = hex::encode_prefixed(account.key);
        lines.push(format!("            {}  {key}", account.address));
    }
    if let (Some(rpc), Some(account)) = (plan.rpc.first(), accounts.first()) {
        lines.push(String::from("  try"));
        lines.push(format!(
            "            cast balance {} --rpc-url http://{rpc}",
            account.address
        ));
        lines.push(format!(
            "            curl -s http://{rpc} -H 'content-type: application/json' -d '{}'",
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}"#
        ));
    }
    if let Some(node) = plan.nodes.first() {
        lines.push(format!(
            "            lode put README.md --node http://{node}"
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}
