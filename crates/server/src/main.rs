//! The `trousseau` executable: command line, configuration, wiring.

mod app;
mod cli;
mod commands;
mod connections;
mod exit;
mod hardening;
mod lanes;
mod output;
mod questions;
mod serve;
mod settings;
mod telemetry;
mod traces;
mod welcome;
mod when;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};

use trousseau_service::networks;
use trousseau_store::Upgrade;

use crate::app::Opened;
use crate::cli::{Cli, Command};
use crate::exit::Failure;
use crate::settings::{Layers, Settings, SettingsError};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hardening::harden();
    telemetry::quiet_panics();
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::say(&format!("trousseau: {:#}\n", failure.error()));
            failure.exit_code()
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    match &cli.command {
        Command::Openapi => {
            return output::print(trousseau_web::router::document_text(&trousseau_web::router::openapi()).trim_end());
        }
        Command::Completions { shell } => {
            // Not to standard output itself: it panics where the reader goes away.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "trousseau", &mut script);
            return output::print(String::from_utf8_lossy(&script).trim_end());
        }
        _ => {}
    }
    let (settings, layers) = Settings::load(&cli.flags()).map_err(|error| match error {
        SettingsError::Unreadable { .. } => Failure::Failed(error.into()),
        other => Failure::Usage(other.into()),
    })?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime cannot start")?;
    let result = runtime.block_on(dispatch(cli, &settings, &layers));
    // What still runs has had its time.
    runtime.shutdown_background();
    result
}

/// `trousseau config check`: it is good, and this is what it says.
fn explain(settings: &Settings, layers: &Layers, json: bool) -> Result<(), Failure> {
    let rows = settings.explain(layers);
    if json {
        let settings: serde_json::Map<_, _> = rows
            .into_iter()
            .map(|row| (row.name, serde_json::json!({ "value": row.value, "source": row.source.to_string() })))
            .collect();
        return output::print_json(&settings);
    }
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|row| vec![row.name, row.value, row.source.to_string()]).collect();
    output::print_table(&["SETTING", "VALUE", "FROM"], &rows, "")?;
    if let Some(file) = layers.file() {
        output::print(&format!("\nRead {}", file.display()))?;
    }
    Ok(())
}

/// Asks the endpoints of every network whether they are what the settings say, as the server does when it starts.
async fn check_networks(settings: &Settings) -> Result<(), Failure> {
    for unanswered in networks::check(settings.rules.networks()).await.map_err(|wrong| Failure::Usage(wrong.into()))? {
        output::say(&format!("{}: does not answer ({})\n", unanswered.setting, unanswered.error));
    }
    Ok(())
}

/// Runs one command. All but the configuration's own work on the opened database.
async fn dispatch(cli: &Cli, settings: &Settings, layers: &Layers) -> Result<(), Failure> {
    let json = cli.global.json;
    if let Command::Config(cli::Config::Check) = &cli.command {
        explain(settings, layers, json)?;
        return check_networks(settings).await;
    }
    if let Command::Serve(serve) = &cli.command {
        telemetry::start(settings.log_format, settings.log_level);
        let opened = Opened::open(settings, cli.global.actor.clone(), Upgrade::Any).await?;
        return serve::serve(settings, layers, opened, serve.welcome.as_deref()).await;
    }
    // Neither may touch the database before it has looked at it.
    match &cli.command {
        Command::Backup { file } => return commands::backup::take(settings, file, json).await,
        Command::Restore { file, skip_children } => {
            return commands::backup::restore(settings, file, *skip_children, cli.global.actor.clone(), json).await;
        }
        _ => {}
    }
    // Servers of an older release may run: a new one decides when the schema changes, and no command beside them.
    let opened = Opened::open(settings, cli.global.actor.clone(), Upgrade::Empty).await?;
    // By a wrong clock a value would go on until another hour. Where that cannot be told nothing can be written either.
    let _ = opened.app.compare_clocks().await;
    let result = match &cli.command {
        Command::Business(command) => commands::business::run(&opened, command, json).await,
        Command::Key(command) => commands::key::run(&opened, command, json).await,
        Command::Member(command) => commands::member::run(&opened, command, json).await,
        Command::PlatformKey(command) => commands::platform_key::run(&opened, command, json).await,
        Command::Secrets(command) => commands::secrets::run(&opened, command, json).await,
        Command::Network(command) => commands::network::run(&opened, command, json).await,
        Command::Payout(command) => commands::payout::run(&opened, command, json).await,
        Command::Serve(_)
        | Command::Backup { .. }
        | Command::Restore { .. }
        | Command::Config(_)
        | Command::Openapi
        | Command::Completions { .. } => Ok(()),
    };
    opened.close().await;
    result
}
