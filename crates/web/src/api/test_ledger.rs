//! `/v1/test`: the ledger of TEST, moved by hand. A LIVE key gets 403, and everybody 409 where TEST is bound to networks.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::Response;
use trousseau_domain::ids::PaymentId;
use trousseau_domain::ledger::{Moved, RawAmount, Scenario};
use trousseau_domain::money::{Asset, AssetCode, Money};
use trousseau_domain::time::Timestamp;
use trousseau_service::idempotency::Answered;
use trousseau_service::payments::test_ledger::{TestCommand, TestLedgerState, TestTransfer, test_network};
use trousseau_service::{PaymentRow, ServiceError};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{json, replay, respond, stored};
use crate::authority::{Granted, PaymentsRead, PaymentsWrite};
use crate::body::{Json, JsonOrEmpty};
use crate::idempotency::Repeatable;
use crate::path::Path;
use crate::problem::{Failure, Faults};
use crate::query::NoQuery;
use crate::router::Web;
use crate::wire::Nothing;
use crate::wire::payments::{
    PaymentBody, ScenarioBody, TestBlocksBody, TestClockBody, TestLedgerBody, TestReorganisationBody, TestTransferBody,
};

/// The network of a transfer that names none.
const USUAL_NETWORK: &str = "base";
/// The most characters of an address.
const MAX_ADDRESS: usize = 128;
/// The most blocks that are told of once more.
const MAX_REPEATED: u32 = 1_000;

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(get))
        .routes(routes!(transfer))
        .routes(routes!(mine))
        .routes(routes!(reorganise))
        .routes(routes!(duplicate))
        .routes(routes!(halt))
        .routes(routes!(resume))
        .routes(routes!(advance))
        .routes(routes!(play))
}

async fn run(
    web: &Web,
    may: &Granted<PaymentsWrite>,
    repeatable: Repeatable,
    bytes: &[u8],
    command: TestCommand,
) -> Result<Response, Failure> {
    let render = |state: &TestLedgerState| stored(200, json(&TestLedgerBody::from(state)), Vec::new());
    let repeated = repeatable.of(&may.whose(), bytes, &render);
    let ran = web.app.test_ledgers().run(may.context(), may.tenant(), &command, repeated.as_ref()).await;
    match ran.map_err(about_count)? {
        Answered::Done(state) => Ok(respond(200, &json(&TestLedgerBody::from(&state)))),
        Answered::Replayed(earlier) => replay(web, may.context(), earlier).await,
    }
}

/// What a use case says of blocks is about the body's `count` of them.
fn about_count(mut error: ServiceError) -> Failure {
    if let ServiceError::Invalid(problems) = &mut error {
        for problem in problems.iter_mut().filter(|problem| problem.field == "blocks") {
            problem.field = "count";
        }
    }
    error.into()
}

/// What moves: the accepted token or another one, by that word or by the code of a currency.
fn moved(given: Option<&str>, expected: Asset, faults: &mut Faults) -> Option<Moved> {
    let Some(text) = given else { return Some(Moved::Accepted) };
    match text.parse::<AssetCode>() {
        Ok(code) if code == expected.code() => Some(Moved::Accepted),
        Ok(_) => Some(Moved::Other),
        Err(_) => faults.accept("/asset", text.parse::<Moved>()),
    }
}

/// Read the test ledger
///
/// Each business has one. Time passes on it as anywhere, blocks come by these calls only.
#[utoipa::path(
    get,
    path = "/v1/test/ledger",
    operation_id = "get_test_ledger",
    tag = "Test ledger",
    responses((status = 200, description = "How the ledger stands", body = TestLedgerBody)),
    security(
        ("apikey" = ["payments:read"], "businessid" = []),
        ("basic" = ["payments:read"]),
        ("bearer" = ["payments:read"]),
        ("x-api-key" = ["payments:read"]),
    )
)]
pub(crate) async fn get(
    may: Granted<PaymentsRead>,
    _query: NoQuery,
    State(web): State<Web>,
) -> Result<Answer<TestLedgerBody>, Failure> {
    let state = web.app.test_ledgers().get(may.tenant()).await?;
    Ok(Answer(TestLedgerBody::from(&state)))
}

/// Make a transfer
///
/// It waits for the next block.
#[utoipa::path(
    post,
    path = "/v1/test/transfers",
    operation_id = "make_test_transfer",
    tag = "Test ledger",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = TestTransferBody,
    responses((status = 200, description = "How the ledger stands now", body = TestLedgerBody)),
    security(
        ("apikey" = ["payments:write"], "businessid" = []),
        ("basic" = ["payments:write"]),
        ("bearer" = ["payments:write"]),
        ("x-api-key" = ["payments:write"]),
    )
)]
pub(crate) async fn transfer(
    may: Granted<PaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<TestTransferBody>,
) -> Result<Response, Failure> {
    let mut faults = Faults::new();
    let given = body.value;
    for (pointer, text) in [("/address", Some(&given.address)), ("/sender", given.sender.as_ref())] {
        let plain = |text: &String| {
            (1..=MAX_ADDRESS).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if text.is_some_and(|text| !plain(text)) {
            faults.senseless(pointer, "must be 1 to 128 ASCII letters, digits and underscores");
        }
    }
    let name = given.network.as_deref().unwrap_or(USUAL_NETWORK);
    let network = faults.accept("/network", test_network(name).ok_or("is no network of TEST"));
    // What the payment at the address is in; a code that is not its own is another token.
    let expected = match &network {
        Some(network) if !faults.are_about("/address") => {
            web.app.payments().asset_at(may.tenant(), network, &given.address).await?
        }
        _ => Asset::USDC,
    };
    let amount = match Money::parse(&given.amount, expected) {
        Ok(money) => Some(RawAmount::from_units(money.units())),
        // A ledger may hold more than we count.
        Err(trousseau_domain::money::InvalidAmount::TooLarge) => {
            let digits = given.amount.replace('.', "");
            let fraction = given.amount.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            let padding = "0".repeat(usize::from(expected.decimals()) - fraction);
            faults.accept("/amount", format!("{digits}{padding}").parse())
        }
        Err(error) => {
            faults.senseless("/amount", error.to_string());
            None
        }
    };
    let asset = moved(given.asset.as_deref(), expected, &mut faults);
    faults.finish()?;
    let transfer = TestTransfer {
        network: network.expect("a refused network is a fault above"),
        to: given.address,
        from: given.sender,
        amount: amount.expect("a refused amount is a fault above"),
        asset: asset.expect("a refused asset is a fault above"),
        reverted: given.reverted,
    };
    run(&web, &may, repeatable, &body.bytes, TestCommand::Transfer(transfer)).await
}

/// Make blocks
///
/// The transfers that wait come into the first one. Three confirmations make a transfer final.
#[utoipa::path(
    post,
    path = "/v1/test/blocks",
    operation_id = "mine_test_blocks",
    tag = "Test ledger",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = TestBlocksBody,
    responses((status = 200, description = "How the ledger stands now", body = TestLedgerBody)),
    security(
        ("apikey" = ["payments:write"], "businessid" = []),
        ("basic" = ["payments:write"]),
        ("bearer" = ["payments:write"]),
        ("x-api-key" = ["payments:write"]),
    )
)]
pub(crate) async fn mine(
    may: Granted<PaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<TestBlocksBody>,
) -> Result<Response, Failure> {
    run(&web, &may, repeatable, &body.bytes, TestCommand::Mine(body.value.count)).await
}

/// Take blocks back
///
/// The last blocks are replaced by as many new ones, with their transactions or without.
#[utoipa::path(
    post,
    path = "/v1/test/reorganisations",
    operation_id = "reorganise_test_ledger",
    tag = "Test ledger",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = TestReorganisationBody,
    responses((status = 200, description = "How the ledger stands now", body = TestLedgerBody)),
    security(
        ("apikey" = ["payments:write"], "businessid" = []),
        ("basic" = ["payments:write"]),
        ("bearer" = ["payments:write"]),
        ("x-api-key" = ["payments:write"]),
    )
)]
pub(crate) async fn reorganise(
    may: Granted<PaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<TestReorganisationBody>,
) -> Result<Response, Failure> {
    let TestReorganisationBody { depth, reinclude } = body.value;
    let command = TestCommand::Reorganise { depth, reinclude };
    run(&web, &may, repeatable, &body.bytes, command).await
}

/// Tell of blocks once more
///
/// As a careless provider would; nothing may follow from it.
#[utoipa::path(
    post,
    path = "/v1/test/duplicates",
    operation_id = "repeat_test_blocks",
    tag = "Test ledger",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = TestBlocksBody,
    responses((status = 200, description = "How the ledger stands now", body = TestLedgerBody)),
    security(
        ("apikey" = ["payments:write"], "businessid" = []),
        ("basic" = ["payments:write"]),
        ("bearer" = ["payments:write"]),
        ("x-api-key" = ["payments:write"]),
    )
)]
pub(crate) async fn duplicate(
    may: Granted<PaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<TestBlocksBody>,
) -> Result<Response, Failure> {
    let mut faults = Faults::new();
    let count = body.value.count;
    if !(1..=MAX_REPEATED).contains(&count) {
        faults.senseless("/count", format!("must be 1 to {MAX_REPEATED}"));
    }
    faults.finish()?;
    run(&web, &may, repeatable, &body.bytes, TestCommand::Duplicate(count)).await
}

/// Halt the ledger
///
/// No blocks and no time, so that nothing expires either.
#[utoipa::path(
    post,
    path = "/v1/test/halt",
    operation_id = "halt_test_ledger",
    tag = "Test ledger",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 200, description = "How the ledger stands now", body = TestLedgerBody)),
    security(
        ("apikey" = ["payments:write"], "businessid" = []),
        ("basic" = ["payments:write"]),
        ("bearer" = ["payments:write"]),
        ("x-api-key" = ["payments:write"]),
    )
)]
pub(crate) async fn halt(
    may: Granted<PaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    run(&web, &may, repeatable, &body.bytes, TestCommand::Halt).await
}

/// Let the ledger go on
///
/// Its clock goes on as if it had never stood still.
#[utoipa::path(
    post,
    path = "/v1/test/resume",
    operation_id = "resume_test_ledger",
    tag = "Test ledger",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 200, description = "How the ledger stands now", body = TestLedgerBody)),
    security(
        ("apikey" = ["payments:write"], "businessid" = []),
        ("basic" = ["payments:write"]),
        ("bearer" = ["payments:write"]),
        ("x-api-key" = ["payments:write"]),
    )
)]
pub(crate) async fn resume(
    may: Granted<PaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    run(&web, &may, repeatable, &body.bytes, TestCommand::Resume).await
}

/// Set the clock forward
///
/// Everything that is due by then is done before the answer: payments expire, periods of recurring payments are
/// made.
#[utoipa::path(
    post,
    path = "/v1/test/clock",
    operation_id = "advance_test_clock",
    tag = "Test ledger",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = TestClockBody,
    responses((status = 200, description = "How the ledger stands now", body = TestLedgerBody)),
    security(
        ("apikey" = ["payments:write"], "businessid" = []),
        ("basic" = ["payments:write"]),
        ("bearer" = ["payments:write"]),
        ("x-api-key" = ["payments:write"]),
    )
)]
pub(crate) async fn advance(
    may: Granted<PaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<TestClockBody>,
) -> Result<Response, Failure> {
    let mut faults = Faults::new();
    let to = faults.accept("/to", body.value.to.parse::<Timestamp>());
    faults.finish()?;
    let to = to.expect("a refused instant is a fault above");
    run(&web, &may, repeatable, &body.bytes, TestCommand::AdvanceTo(to)).await
}

/// Play a scenario
///
/// Has a payment go as the buttons of its page would: the transfers and blocks that it takes are made.
#[utoipa::path(
    post,
    path = "/v1/test/payments/{id}/scenario",
    operation_id = "play_scenario",
    tag = "Test ledger",
    params(
        ("id" = String, Path, description = "The id of the payment", example = "pay_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = ScenarioBody,
    responses((status = 200, description = "The payment as it is now", body = PaymentBody)),
    security(
        ("apikey" = ["payments:write"], "businessid" = []),
        ("basic" = ["payments:write"]),
        ("bearer" = ["payments:write"]),
        ("x-api-key" = ["payments:write"]),
    )
)]
pub(crate) async fn play(
    may: Granted<PaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<PaymentId>,
    repeatable: Repeatable,
    body: Json<ScenarioBody>,
) -> Result<Response, Failure> {
    let mut faults = Faults::new();
    let scenario = faults.accept("/scenario", body.value.scenario.parse::<Scenario>());
    faults.finish()?;
    let scenario = scenario.expect("a refused scenario is a fault above");
    let written = |payment: &PaymentRow| json(&PaymentBody::new(payment, web.app.address()));
    let render = |payment: &PaymentRow| stored(200, written(payment), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.test_ledgers().play_to(may.context(), may.tenant(), id, scenario, repeated.as_ref()).await? {
        Answered::Done(payment) => Ok(respond(200, &written(&payment))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}
