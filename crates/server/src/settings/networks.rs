//! Networks in the configuration: what is written, what is usual, and the result in types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use trousseau_domain::environment::Environment;
use trousseau_domain::evm::EvmAddress;
use trousseau_domain::ledger::{ConfirmationPolicy, Confirmations};
use trousseau_domain::money::{Asset, AssetCode};
use trousseau_domain::networks::{ChainId, ShortName, Worth};
use trousseau_service::networks::{EndpointUrl, Explorer, Late, NetworkSettings, Template, Token, Told};

use super::{Layers, SettingsError, check, parse, read_secrets};

/// The most networks.
const MOST_NETWORKS: usize = 32;

/// One network as it is written. Everything but the endpoints has a usual value on the well-known networks.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenNetwork {
    chain: Option<String>,
    environment: Option<String>,
    allow_test_network: bool,
    endpoints: OneOrMany,
    endpoints_file: Option<PathBuf>,
    tokens: Option<BTreeMap<String, WrittenToken>>,
    notice: Vec<String>,
    confirmations: Option<WrittenConfirmations>,
    max_span: Option<u32>,
    poll: Option<u32>,
    timeout: Option<u32>,
    stale_after: Option<u32>,
    title: Option<String>,
    explorer: WrittenExplorer,
    final_after: WrittenFinalAfter,
    late_after: Option<u32>,
    late_every: Option<u32>,
}

/// Pages of somebody else about what is on the network.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenExplorer {
    transaction: Option<String>,
    address: Option<String>,
    block: Option<String>,
}

/// How many seconds it usually takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenFinalAfter {
    safe: Option<u32>,
    finalized: Option<u32>,
}

impl std::fmt::Debug for WrittenNetwork {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("WrittenNetwork")
    }
}

/// What goes wrong with it is told without repeating it: it may hold a password.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts is needed")]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenToken {
    contract: String,
    decimals: u8,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "confirmations are a number, safe, finalized, or a list of { from, needs }")]
enum WrittenConfirmations {
    Number(u32),
    Word(String),
    Bands(Vec<WrittenBand>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBand {
    from: i64,
    needs: WrittenNeeds,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a number, safe or finalized")]
enum WrittenNeeds {
    Number(u32),
    Word(String),
}

/// What is usual on a network: confirmations, the seconds between two looks and until it counts as standing still, and
/// the seconds until a block is called safe and final, where that is more than a moment.
struct Usual {
    confirmations: ConfirmationPolicy,
    poll: u32,
    stale_after: u32,
    safe: Option<u32>,
    finalized: Option<u32>,
}

impl Usual {
    fn of(chain: &ChainId) -> Self {
        let every = |needs| ConfirmationPolicy::every(needs);
        let bands = |bands| ConfirmationPolicy::new(bands).expect("in rising order from zero");
        // A public test network is one of the same kind.
        let short = ShortName::of(chain).or_else(|| ShortName::of_public_test(chain));
        let (confirmations, poll, stale_after) = match short {
            // Blocks come every 12 seconds; the large amounts of few wait for a quarter of an hour.
            Some(ShortName::Eth) => {
                (bands(vec![(0, Confirmations::Blocks(12)), (10_000, Confirmations::Finalized)]), 6, 300)
            }
            // Rollups hardly ever take blocks back; what is safe has been posted to Ethereum.
            Some(ShortName::Base | ShortName::Arb) => {
                (bands(vec![(0, Confirmations::Blocks(5)), (1_000, Confirmations::Safe)]), 2, 120)
            }
            // Its final blocks come within seconds, and before them it has gone back far.
            Some(ShortName::Pol) => (every(Confirmations::Finalized), 2, 120),
            // What it accepts is final.
            Some(ShortName::Avax) => (every(Confirmations::Blocks(2)), 2, 120),
            Some(ShortName::Sui | ShortName::Solana) | None => (every(Confirmations::Blocks(12)), 5, 600),
        };
        let (safe, finalized) = match short {
            // Two epochs and a half of 32 blocks of 12 seconds; what is safe is justified.
            Some(ShortName::Eth) => (Some(480), Some(900)),
            // Posted to Ethereum, and final there.
            Some(ShortName::Base | ShortName::Arb) => (Some(180), Some(1_200)),
            _ => (None, None),
        };
        Self { confirmations, poll, stale_after, safe, finalized }
    }
}

/// The networks in types. The one of an environment whose name comes first in the alphabet is where its payments are made
/// unless chosen.
pub(super) fn networks(
    layers: &Layers,
    written: BTreeMap<String, WrittenNetwork>,
) -> Result<Vec<NetworkSettings>, SettingsError> {
    check(layers, "networks", (written.len() <= MOST_NETWORKS).then_some(()).ok_or("there may be 32 at most"))?;
    let mut networks: Vec<NetworkSettings> = Vec::new();
    for (name, written) in written {
        let network = network(layers, &name, written)?;
        if let Some(other) = networks.iter().find(|other| other.chain == network.chain) {
            let message = format!("is the same chain as networks.{}", other.name);
            return Err(layers.invalid(&format!("networks.{name}.chain"), message));
        }
        let other = |token: &Token| {
            let theirs = networks.iter().flat_map(|other| other.tokens.iter().map(move |theirs| (other, theirs)));
            let same_code = theirs.filter(|(_, theirs)| theirs.asset.code() == token.asset.code());
            same_code.into_iter().find(|(_, theirs)| theirs.asset != token.asset).map(|(other, _)| other.name.clone())
        };
        if let Some((token, other)) = network.tokens.iter().find_map(|token| Some((token, other(token)?))) {
            // A price is so many base units, whichever network it is paid on.
            let setting = format!("networks.{name}.tokens.{}.decimals", token.asset.code());
            return Err(layers.invalid(&setting, format!("is not what networks.{other} says of it")));
        }
        networks.push(network);
    }
    Ok(networks)
}

fn network(layers: &Layers, name: &str, written: WrittenNetwork) -> Result<NetworkSettings, SettingsError> {
    let at = |member: &str| format!("networks.{name}.{member}");
    let good =
        (1..=32).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    check(
        layers,
        "networks",
        good.then_some(())
            .ok_or_else(|| format!("the name {name} is not 1 to 32 small letters, digits and underscores")),
    )?;
    let known = known_by_name(name);
    let chain = match (&written.chain, known) {
        (Some(text), known) => {
            let chain = parse::<ChainId>(layers, &at("chain"), text)?;
            // Whoever asks to pay on `base` means Base.
            if let Some(known) = known.filter(|known| *known != chain) {
                return Err(layers.invalid(&at("chain"), format!("the name is that of {known}: choose another one")));
            }
            chain
        }
        (None, Some(chain)) => chain,
        (None, None) => {
            let message = "is needed: eip155: and the number of the chain (known by name are eth, base, pol, arb, avax, and the \
                 test networks sepolia, base_sepolia, amoy, arb_sepolia and fuji)";
            return Err(layers.invalid(&at("chain"), message));
        }
    };
    let is_evm = chain.eip155().is_some();
    check(
        layers,
        &at("chain"),
        is_evm.then_some(()).ok_or("is no EVM network (eip155:...): no other kind is watched"),
    )?;
    let environment = match written.environment.as_deref() {
        Some(text) => parse::<Environment>(layers, &at("environment"), text)?,
        None => Environment::Live,
    };
    check_worth(layers, name, &chain, environment, written.allow_test_network)?;
    let usual = Usual::of(&chain);
    let whole = |member: &str, value: Option<u32>, usual: u32, most: u32| {
        let value = value.unwrap_or(usual);
        let good = (1..=most).contains(&value);
        check(layers, &at(member), good.then_some(value).ok_or_else(|| format!("1 to {most}")).map(drop))?;
        Ok::<u32, SettingsError>(value)
    };
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let usually = |member: &str, written: Option<u32>, usual: Option<u32>| match written {
        Some(written) => whole(member, Some(written), 1, 86_400).map(Some),
        None => Ok(usual),
    };
    let told = Told {
        title: written.title.map(|title| titled(layers, &at("title"), title)).transpose()?,
        explorer: Explorer {
            transaction: page(layers, &at("explorer.transaction"), written.explorer.transaction.as_deref(), "{hash}")?,
            address: page(layers, &at("explorer.address"), written.explorer.address.as_deref(), "{address}")?,
            block: page(layers, &at("explorer.block"), written.explorer.block.as_deref(), "{number}")?,
        },
        safe_after: usually("final_after.safe", written.final_after.safe, usual.safe)?.map(seconds),
        finalized_after: usually("final_after.finalized", written.final_after.finalized, usual.finalized)?.map(seconds),
    };
    let late = Late {
        after: seconds(whole("late_after", written.late_after, 86_400, 31_536_000)?),
        every: seconds(whole("late_every", written.late_every, 600, 86_400)?),
    };
    Ok(NetworkSettings {
        told,
        late,
        name: name.to_owned(),
        environment,
        endpoints: endpoints(layers, &at("endpoints"), written.endpoints, written.endpoints_file.as_deref())?,
        tokens: tokens(layers, name, &chain, written.tokens)?,
        noticed: written
            .notice
            .iter()
            .map(|text| parse::<EvmAddress>(layers, &at("notice"), text))
            .collect::<Result<_, _>>()?,
        confirmations: match written.confirmations {
            Some(written) => confirmations(layers, &at("confirmations"), written)?,
            None => usual.confirmations,
        },
        max_span: whole("max_span", written.max_span, 1_000, 100_000)?,
        poll: seconds(whole("poll", written.poll, usual.poll, 600)?),
        timeout: seconds(whole("timeout", written.timeout, 10, 60)?),
        stale_after: seconds(whole("stale_after", written.stale_after, usual.stale_after, 86_400)?),
        chain,
    })
}

/// The network that everybody means by a name.
fn known_by_name(name: &str) -> Option<ChainId> {
    let live = name.parse::<ShortName>().ok().map(ShortName::live_chain);
    live.or_else(|| {
        let test = ShortName::ALL.into_iter().find(|short| short.public_test_name() == Some(name));
        test.and_then(ShortName::public_test_chain)
    })
}

/// Keeps real money from being taken for none, and play money from being taken for real.
fn check_worth(
    layers: &Layers,
    name: &str,
    chain: &ChainId,
    environment: Environment,
    allow_test_network: bool,
) -> Result<(), SettingsError> {
    let at = |member: &str| format!("networks.{name}.{member}");
    match (environment, chain.worth()) {
        (Environment::Test, Worth::Real) => {
            let instead = ShortName::of(chain).and_then(ShortName::public_test_name).unwrap_or("base_sepolia");
            let message = format!(
                "{chain} holds real money, and TEST never takes any: use a test network, such as networks.{instead}, or \
                 leave this setting out for LIVE"
            );
            Err(layers.invalid(&at("environment"), message))
        }
        (Environment::Live, Worth::None) if !allow_test_network => {
            let message = format!(
                "{chain} is a public test network: LIVE would take its money, which is worth nothing, for real. Set \
                 {} = \"test\", or {} = true if this installation only tries LIVE out",
                at("environment"),
                at("allow_test_network")
            );
            Err(layers.invalid(&at("chain"), message))
        }
        (Environment::Test, _) if allow_test_network => {
            let message = "is for LIVE only: in TEST every network but those with real money may be used";
            Err(layers.invalid(&at("allow_test_network"), message))
        }
        (Environment::Test, Worth::None | Worth::Unknown) | (Environment::Live, _) => Ok(()),
    }
}

/// What a network is called on pages.
fn titled(layers: &Layers, name: &str, title: String) -> Result<String, SettingsError> {
    let good = (1..=40).contains(&title.chars().count()) && !title.chars().any(char::is_control);
    check(layers, name, good.then_some(()).ok_or("1 to 40 characters"))?;
    Ok(title)
}

/// The address of a page with a place to fill in.
fn page(
    layers: &Layers,
    name: &str,
    written: Option<&str>,
    place: &'static str,
) -> Result<Option<Template>, SettingsError> {
    written.map(|text| Template::new(text, place).map_err(|error| layers.invalid(name, error))).transpose()
}

/// Texts that may be secret, from the setting itself or from its file, and the name of where they are.
pub(super) fn lines(
    layers: &Layers,
    name: &str,
    written: OneOrMany,
    file: Option<&Path>,
) -> Result<(String, Vec<String>), SettingsError> {
    Ok(match (written, file) {
        (OneOrMany::One(one), _) => (name.to_owned(), vec![one]),
        (OneOrMany::Many(many), None) => (name.to_owned(), many),
        (OneOrMany::Many(_), Some(path)) => {
            let name = format!("{name}_file");
            let text = read_secrets(layers, &name, path)?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            let lines = lines.map(str::to_owned).collect();
            (name, lines)
        }
    })
}

/// Each is a URL, and behind ` | ` the headers that prove who asks.
fn endpoints(
    layers: &Layers,
    name: &str,
    written: OneOrMany,
    file: Option<&Path>,
) -> Result<Vec<EndpointUrl>, SettingsError> {
    let (name, lines) = lines(layers, name, written, file)?;
    check(layers, &name, (!lines.is_empty()).then_some(()).ok_or("at least one endpoint is needed"))?;
    let endpoint = |(index, line): (usize, &String)| {
        let mut parts = line.split(" | ");
        let url = parts.next().unwrap_or_default().trim().parse::<EndpointUrl>();
        let url = parts.fold(url, |url, header| url?.with_header(header));
        // Which one, not what: it may hold a password.
        url.map_err(|error| layers.invalid(&name, format!("endpoint {}: {error}", index + 1)))
    };
    lines.iter().enumerate().map(endpoint).collect()
}

fn tokens(
    layers: &Layers,
    network: &str,
    chain: &ChainId,
    written: Option<BTreeMap<String, WrittenToken>>,
) -> Result<Vec<Token>, SettingsError> {
    let at = |code: &str, member: &str| format!("networks.{network}.tokens.{code}{member}");
    let Some(written) = written else {
        let contract = chain.usdc().ok_or_else(|| {
            let message = "is needed: the contracts of tokens are known on the well-known networks only";
            layers.invalid(&format!("networks.{network}.tokens"), message)
        })?;
        return Ok(vec![Token { asset: Asset::USDC, contract }]);
    };
    let mut tokens: Vec<Token> = Vec::new();
    for (text, token) in &written {
        let code: AssetCode = parse(layers, &at(text, ""), text)?;
        let asset = Asset::new(code, token.decimals).map_err(|error| layers.invalid(&at(text, ".decimals"), error))?;
        if let Some(known) = Asset::known(code).filter(|known| *known != asset) {
            return Err(layers.invalid(&at(text, ".decimals"), format!("{code} has {} decimals", known.decimals())));
        }
        let contract: EvmAddress = parse(layers, &at(text, ".contract"), &token.contract)?;
        if tokens.iter().any(|other| other.contract == contract) {
            return Err(layers.invalid(&at(text, ".contract"), "is the contract of two tokens"));
        }
        tokens.push(Token { asset, contract });
    }
    let lacking = tokens.is_empty().then_some("at least one token is needed");
    check(layers, &format!("networks.{network}.tokens"), lacking.map_or(Ok(()), Err))?;
    Ok(tokens)
}

fn confirmations(
    layers: &Layers,
    name: &str,
    written: WrittenConfirmations,
) -> Result<ConfirmationPolicy, SettingsError> {
    let one = |text: String| parse::<Confirmations>(layers, name, &text);
    match written {
        WrittenConfirmations::Number(number) => one(number.to_string()).map(ConfirmationPolicy::every),
        WrittenConfirmations::Word(word) => one(word).map(ConfirmationPolicy::every),
        WrittenConfirmations::Bands(bands) => {
            let band = |band: WrittenBand| {
                let needs = match band.needs {
                    WrittenNeeds::Number(number) => number.to_string(),
                    WrittenNeeds::Word(word) => word,
                };
                Ok((band.from, one(needs)?))
            };
            let bands = bands.into_iter().map(band).collect::<Result<Vec<_>, SettingsError>>()?;
            ConfirmationPolicy::new(bands).map_err(|error| layers.invalid(name, error))
        }
    }
}

/// The settings of a network as text, secrets left out.
pub(super) fn explain(network: &NetworkSettings) -> Vec<(String, String)> {
    let at = |member: &str| format!("networks.{}.{member}", network.name);
    let seconds = |time: Duration| time.as_secs().to_string();
    let tokens: Vec<_> = network
        .tokens
        .iter()
        .map(|token| format!("{} ({} decimals) {}", token.asset.code(), token.asset.decimals(), token.contract))
        .collect();
    let noticed: Vec<_> = network.noticed.iter().map(ToString::to_string).collect();
    let none = || "-".to_owned();
    let page = |template: Option<&Template>| template.map_or_else(none, ToString::to_string);
    let bands: Vec<_> = match network.confirmations.bands() {
        [(_, needs)] => vec![needs.to_string()],
        bands => bands.iter().map(|(from, needs)| format!("{needs} from {from}")).collect(),
    };
    vec![
        (at("chain"), network.chain.to_string()),
        (at("environment"), network.environment.to_string()),
        (at("endpoints"), format!("{}, not shown", network.endpoints.len())),
        (at("tokens"), tokens.join(", ")),
        (at("notice"), if noticed.is_empty() { "-".to_owned() } else { noticed.join(", ") }),
        (at("confirmations"), bands.join(", ")),
        (at("max_span"), network.max_span.to_string()),
        (at("poll"), seconds(network.poll)),
        (at("timeout"), seconds(network.timeout)),
        (at("stale_after"), seconds(network.stale_after)),
        (at("title"), network.told.title.clone().unwrap_or_else(none)),
        (at("explorer.transaction"), page(network.told.explorer.transaction.as_ref())),
        (at("explorer.address"), page(network.told.explorer.address.as_ref())),
        (at("explorer.block"), page(network.told.explorer.block.as_ref())),
        (at("final_after.safe"), network.told.safe_after.map_or_else(none, seconds)),
        (at("final_after.finalized"), network.told.finalized_after.map_or_else(none, seconds)),
        (at("late_after"), seconds(network.late.after)),
        (at("late_every"), seconds(network.late.every)),
    ]
}
