//! What a development network is made of once: keys, genesis file, ports. Later starts in the same
//! folder find it as it was.
//!
//! ```text
//!  DIR/genesis.json            all that offline checks trust
//!  DIR/devnet.json             ports, and how many of what
//!  DIR/validators/N/key.json   keys of a validator; ledger and consensus beside it
//!  DIR/nodes/N                 a storage node's data, its account's key and the key's password
//!  DIR/da/N                    the same of a holder of data availability, where there are four nodes or more
//! ```

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, U256, hex, keccak256};
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use lode_chain::{Secret, Validator, genesis};
use lode_chain_link as link;
use serde::{Deserialize, Serialize};

use crate::{
    args::DevnetArgs,
    da,
    failure::{Failure, Outcome},
    random,
};

/// The words that development accounts everywhere are made of. Everybody knows these keys.
pub const WORDS: &str = "test test test test test test test test test test test junk";
/// Funded accounts.
pub const ACCOUNTS: u32 = 10;
/// From this one on, accounts get the fees of validators.
const BENEFICIARIES: u32 = 1_000;
/// Ether of each.
const ETHER: u64 = 10_000;
/// Wei of an ether.
const WEI: u64 = 1_000_000_000_000_000_000;
/// Gas of a block: what 0G's chain has.
const GAS_LIMIT: u64 = 120_000_000;
/// Base fee of the first block, in wei.
const BASE_FEE: u64 = 1_000_000_000;
/// Blocks after which members may change and keys are shared anew.
const BLOCKS_PER_EPOCH: u64 = 1 << 16;
/// Stake of each of the first validators, in wei.
const STAKE: u128 = 1_000 * 1_000_000_000_000_000_000;
/// Wei for a sector of 256 bytes: what 0G's main network asks for a year.
const PRICE_PER_SECTOR: u128 = 30_733_644_962;
/// Blocks of a mining epoch, of a slot of randomness, and epochs until a stake is free again.
const FLOW_EPOCH_BLOCKS: u16 = 1200;
const BEACON_SLOT_BLOCKS: u64 = 16;
const UNBOND_EPOCHS: u64 = 7;
/// Members of a committee.
const SEATS: u64 = 100;
/// A node's key and its password, in the node's folder.
pub const KEY: &str = "account.json";
pub const PASSWORD: &str = "password";
/// Where ports are looked for: below those that the system gives to clients.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
/// Storage nodes from which on the network has data availability: of fewer holders none may be silent.
const HOLDERS_MIN: u16 = 4;
/// Stake of each holder, in wei.
const HOLDER_STAKE: u128 = STAKE;
/// How far apart neighbouring processes begin.
const PORTS_APART: u32 = 37;

/// What later starts must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The chain's number.
    pub chain_id: u64,
    /// The RPC of each validator.
    pub rpc: Vec<SocketAddr>,
    /// Where validators listen for each other.
    pub peers: Vec<SocketAddr>,
    /// The HTTP port of each storage node.
    pub nodes: Vec<SocketAddr>,
    /// Where each of them serves 0G's storage RPC.
    pub zgs: Vec<SocketAddr>,
    /// Where each of them listens for the others.
    pub talk: Vec<SocketAddr>,
    /// Slices of the flow.
    pub slices: u16,
    /// Where the indexer listens.
    pub indexer: SocketAddr,
    /// Nodes of data availability.
    #[serde(default)]
    pub da: Vec<DaPlan>,
}

/// Where a node of data availability listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DaPlan {
    /// For other holders.
    pub listen: SocketAddr,
    /// For REST and alt-DA.
    pub api: SocketAddr,
    /// For 0G's clients, over gRPC.
    pub grpc: SocketAddr,
    /// For Nitro.
    pub nitro: SocketAddr,
}

impl DaPlan {
    /// Four ports for each.
    fn all(ports: Vec<SocketAddr>) -> Vec<DaPlan> {
        let (each, _) = ports.as_chunks::<4>();
        let plan = |[listen, api, grpc, nitro]: &[SocketAddr; 4]| DaPlan {
            listen: *listen,
            api: *api,
            grpc: *grpc,
            nitro: *nitro,
        };
        each.iter().map(plan).collect()
    }
}

/// A funded account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its address.
    pub address: Address,
    /// Its private key.
    pub key: B256,
}

/// The network in a folder; made if there is none.
pub fn open(dir: &Path, args: &DevnetArgs) -> Outcome<Plan> {
    let file = dir.join("devnet.json");
    if !file.exists() {
        let plan = make(dir, args)?;
        // Last: a folder without it is made anew.
        write(&file, &plan)?;
        return Ok(plan);
    }
    let text = fs::read(&file).map_err(|error| Failure::file(file.display(), &error))?;
    let plan: Plan = serde_json::from_slice(&text).map_err(|error| {
        let what = format!("{}: {error}", file.display());
        Failure::other(what, "remove the folder, and a new network is made")
    })?;
    let asked = (usize::from(args.validators), usize::from(args.nodes));
    let has = (plan.peers.len(), plan.nodes.len());
    if asked != has {
        let what = format!(
            "{} holds a network of {} validators and {} nodes, not {} and {}",
            dir.display(),
            has.0,
            has.1,
            asked.0,
            asked.1
        );
        let next = "ask for as many as it has, or use another --state";
        return Err(Failure::usage(what, next));
    }
    Ok(plan)
}

fn make(dir: &Path, args: &DevnetArgs) -> Outcome<Plan> {
    if args.nodes > 0 && args.nodes < args.slices {
        let what = format!("{} nodes cannot hold {} slices", args.nodes, args.slices);
        return Err(Failure::usage(
            what,
            "ask for at least as many nodes as slices",
        ));
    }
    let mut ports = Ports::new();
    let mut take = |count: u16| -> Outcome<Vec<SocketAddr>> {
        (0..count).map(|_| ports.next_free()).collect()
    };
    let peers = take(args.validators)?;
    let mut rpc = take(args.validators)?;
    if let Some(first) = rpc.first_mut() {
        first.set_port(args.port);
    }
    let nodes = take(args.nodes)?;
    let zgs = take(args.nodes)?;
    let talk = take(args.nodes)?;
    let holders = match args.nodes {
        nodes if nodes >= HOLDERS_MIN => nodes,
        _ => 0,
    };
    let da = DaPlan::all(take(4 * holders)?);
    let indexer = ports.next_free()?;
    let chain_id = args.chain_id;
    let plan = Plan {
        chain_id,
        rpc,
        peers,
        nodes,
        zgs,
        talk,
        slices: args.slices,
        indexer,
        da,
    };
    let (funded, holders) = accounts_of_nodes(dir, &plan)?;
    let what = Deal {
        chain_id,
        ether: ETHER,
        peers: &plan.peers,
        funded: &funded,
        blocks_per_epoch: BLOCKS_PER_EPOCH,
        spare: 0,
        holders: &holders,
    };
    deal(dir, &what)?;
    Ok(plan)
}

/// Keys of all nodes, each in its folder; the accounts that are to be funded, and who holds rows.
fn accounts_of_nodes(dir: &Path, plan: &Plan) -> Outcome<(Vec<Address>, Vec<link::da::Holder>)> {
    // Accounts of their own: nobody else sends from them, and nobody has seen their keys.
    let keys: Vec<PrivateKeySigner> = plan
        .nodes
        .iter()
        .map(|_| PrivateKeySigner::random())
        .collect();
    let mut funded: Vec<Address> = keys.iter().map(PrivateKeySigner::address).collect();
    for (number, key) in keys.iter().enumerate() {
        lock_up(&node(dir, number), key)?;
    }
    let mut holders = Vec::new();
    for (number, plan) in plan.da.iter().enumerate() {
        let (folder, key) = (holder(dir, number), PrivateKeySigner::random());
        lock_up(&folder, &key)?;
        funded.push(key.address());
        let data = folder.join("data");
        holders.push(link::da::Holder {
            owner: key.address(),
            key: da::holder_key(&data)?.key().to_point(),
            peer_key: da::peer_key(&data)?.0.into(),
            stake: HOLDER_STAKE,
            socket: plan.listen.to_string(),
        });
    }
    Ok((funded, holders))
}

/// Writes a node's key, encrypted, and its password beside it: on a development network both are as
/// safe as their folder.
fn lock_up(folder: &Path, key: &PrivateKeySigner) -> Outcome<()> {
    let failed = |error: std::io::Error| Failure::file(folder.display(), &error);
    fs::create_dir_all(folder).map_err(failed)?;
    let password = hex::encode(random::bytes::<32>()?);
    write_text(&folder.join(PASSWORD), &password)?;
    link::keys::write(folder, KEY, key, password.as_bytes()).map_err(|error| {
        let what = format!("{}: {error}", folder.join(KEY).display());
        Failure::other(what, "check the folder and its disk")
    })
}

/// What keys and a genesis file are made for.
pub struct Deal<'a> {
    /// The chain's number.
    pub chain_id: u64,
    /// Ether of each development account.
    pub ether: u64,
    /// Where the first validators listen for each other.
    pub peers: &'a [SocketAddr],
    /// More accounts that have as much.
    pub funded: &'a [Address],
    /// Blocks after which members may change.
    pub blocks_per_epoch: u64,
    /// As many validators more get keys, and are in no committee.
    pub spare: u16,
    /// Who holds rows of data availability from the first block on.
    pub holders: &'a [link::da::Holder],
}

/// Writes keys and the genesis file; returns the public keys of the spare validators, which are
/// numbered after the first ones.
pub fn deal(dir: &Path, what: &Deal<'_>) -> Outcome<Vec<B256>> {
    let peers = what.peers;
    let addresses: Vec<String> = peers.iter().map(SocketAddr::to_string).collect();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let chance = random::bytes::<32>()?;
    let (committee, secrets) = lode_chain::deal(keccak256(chance), &addresses)
        .map_err(|error| Failure::usage(error.to_string(), "ask for 1 to 100 validators"))?;
    let known = accounts()?.into_iter().map(|account| account.address);
    let funded = known.chain(what.funded.iter().copied()).map(|address| {
        let wei = U256::from(what.ether) * U256::from(WEI);
        (address, GenesisAccount::default().with_balance(wei))
    });
    let mut accounts: BTreeMap<Address, GenesisAccount> = funded.collect();
    // By their numbers, not by their keys: each has the owner of its number.
    let mut validators = committee.validators();
    let keys: Vec<B256> = secrets.iter().map(Secret::public_key).collect();
    validators.sort_by_key(|validator| keys.iter().position(|key| *key == validator.key));
    accounts.extend(contracts(&validators, what)?);
    let genesis = genesis::Plan {
        chain_id: what.chain_id,
        timestamp: now,
        gas_limit: GAS_LIMIT,
        base_fee: BASE_FEE,
        blocks_per_epoch: what.blocks_per_epoch,
        accounts,
    };
    let genesis = genesis::write(genesis, &committee)
        .map_err(|error| Failure::other(error.to_string(), "report this"))?;
    let spare = (0..what.spare).map(|number| Secret {
        key: keccak256([&chance, number.to_be_bytes().as_slice()].concat()),
        share: None,
    });
    let spare: Vec<Secret> = spare.collect();
    for (number, secret) in secrets.iter().chain(&spare).enumerate() {
        write(&validator(dir, number).join("key.json"), secret)?;
    }
    // Last: where it is, the keys are.
    write(&dir.join("genesis.json"), &genesis)?;
    Ok(spare.iter().map(Secret::public_key).collect())
}

/// The settlement contracts, with the first validators registered. The first development account
/// administers them and owns the first validator, and so on.
fn contracts(
    validators: &[Validator],
    what: &Deal<'_>,
) -> Outcome<BTreeMap<Address, GenesisAccount>> {
    let count = u32::try_from(validators.len()).unwrap_or(u32::MAX);
    let owners = derive(ACCOUNTS.max(count))?;
    let admin = owners
        .first()
        .map_or(Address::ZERO, |owner| owner.address());
    let validators =
        validators
            .iter()
            .zip(&owners)
            .map(|(validator, owner)| link::genesis::Validator {
                owner: owner.address(),
                key: validator.key,
                stake: STAKE,
                endpoint: validator.address.clone(),
            });
    let settings = link::genesis::Settings {
        admin,
        publisher: admin,
        price_per_sector: PRICE_PER_SECTOR,
        flow_epoch_blocks: FLOW_EPOCH_BLOCKS,
        beacon_slot_blocks: BEACON_SLOT_BLOCKS,
        committee_epoch_blocks: what.blocks_per_epoch,
        unbond_epochs: UNBOND_EPOCHS,
        seats: SEATS,
        stake_min: STAKE,
        validators: validators.collect(),
    };
    let da = link::genesis::DaSettings {
        holders: what.holders.to_vec(),
        ..settings.da()
    };
    link::genesis::accounts_with(&settings, &da)
        .map_err(|error| Failure::usage(error.to_string(), "ask for fewer validators"))
}

/// A validator's folder.
pub fn validator(dir: &Path, number: usize) -> PathBuf {
    dir.join("validators").join(number.to_string())
}

/// A storage node's folder.
pub fn node(dir: &Path, number: usize) -> PathBuf {
    dir.join("nodes").join(number.to_string())
}

/// The folder of a node of data availability.
pub fn holder(dir: &Path, number: usize) -> PathBuf {
    dir.join("da").join(number.to_string())
}

/// The keys of the funded accounts, as every wallet derives them from [`WORDS`].
pub fn signers() -> Outcome<Vec<PrivateKeySigner>> {
    derive(ACCOUNTS)
}

/// Who gets the fees of a validator's blocks: nobody else, so that they are seen.
pub fn beneficiary(number: usize) -> Outcome<Address> {
    let index = u32::try_from(number).unwrap_or(u32::MAX - BENEFICIARIES) + BENEFICIARIES;
    let signer = words().index(index).and_then(|words| words.build());
    let signer = signer.map_err(|error| Failure::other(error.to_string(), "report this"))?;
    Ok(signer.address())
}

/// The funded accounts.
pub fn accounts() -> Outcome<Vec<Account>> {
    Ok(signers()?.iter().map(Account::of).collect())
}

fn words() -> MnemonicBuilder<English> {
    MnemonicBuilder::<English>::default().phrase(WORDS)
}

fn derive(count: u32) -> Outcome<Vec<PrivateKeySigner>> {
    let words = words();
    let signers = (0..count).map(|index| words.clone().index(index)?.build());
    signers
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::other(error.to_string(), "report this"))
}

impl Account {
    fn of(signer: &PrivateKeySigner) -> Account {
        Account {
            address: signer.address(),
            key: signer.to_bytes(),
        }
    }
}

/// Free ports, one after the other. Each process begins elsewhere: networks that are made at the same
/// time would find the same ones free.
struct Ports(Box<dyn Iterator<Item = u16>>);

impl Ports {
    fn new() -> Ports {
        let count = u32::from(PORTS.end - PORTS.start);
        let skip = std::process::id().wrapping_mul(PORTS_APART) % count;
        let skip = u16::try_from(skip).unwrap_or_default();
        let (early, late) = (
            PORTS.start..PORTS.start + skip,
            PORTS.start + skip..PORTS.end,
        );
        Ports(Box::new(late.chain(early)))
    }

    fn next_free(&mut self) -> Outcome<SocketAddr> {
        let free = self.0.find_map(|port| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            TcpListener::bind(address).is_ok().then_some(address)
        });
        free.ok_or_else(|| Failure::other("no port is free", "stop what listens on 20000 to 29999"))
    }
}

/// Writes JSON into a file that only its owner may read: keys are among them.
fn write(file: &Path, value: &impl Serialize) -> Outcome<()> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| Failure::file(file.display(), &error.into()))?;
    write_text(file, &text)
}

/// Writes a line or more into a file that only its owner may read.
fn write_text(file: &Path, text: &str) -> Outcome<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |error: std::io::Error| Failure::file(file.display(), &error);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = fs::File::options();
    let opened = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file);
    let mut opened = opened.map_err(failed)?;
    std::io::Write::write_all(&mut opened, format!("{text}\n").as_bytes()).map_err(failed)?;
    opened.sync_all().map_err(failed)
}

#[cfg(test)]
mod tests {
    use lode_chain_light::trust::Trust;

    use super::*;

    /// A verifier who has the genesis file alone trusts the block and the key that validators begin
    /// with.
    #[test]
    fn genesis_is_what_verifiers_read() {
        let dir = tempfile::tempdir().unwrap();
        let peers = [SocketAddr::from((Ipv4Addr::LOCALHOST, 1))];
        let what = Deal {
            chain_id: 77,
            ether: 5,
            peers: &peers,
            funded: &[],
            blocks_per_epoch: 64,
            spare: 2,
            holders: &[],
        };
        let spare = deal(dir.path(), &what).unwrap();
        assert_ne!(spare[0], spare[1]);
        let file = fs::read(dir.path().join("genesis.json")).unwrap();
        let trust = Trust::read(&file).unwrap();
        let chain = lode_chain::Chain::new(&serde_json::from_slice(&file).unwrap()).unwrap();
        assert_eq!(trust.genesis, chain.genesis.hash());
        assert_eq!(trust.chain_id, 77);
        let committee = lode_chain::Committee::of(&chain.genesis).unwrap();
        assert_eq!(trust.key.to_bytes(), committee.group_key());
        assert_eq!(committee.validators().len(), 1);
    }
}
