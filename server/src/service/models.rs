//! Which names answer here, for what, and which are near a wrong one.
//!
//! A name is a model's own, an alias of the operator's, or, with `stand_in`, one of the cloud's; the
//! first that fits counts. Answers repeat the name as it was asked.

use qwenda_backend::{Abilities, ModelCard};
use qwenda_types::{
    error::{ApiError, Code},
    models::Model,
};

use super::stand_in::{self, CloudChat, CloudKind, CloudName};
use crate::{ServeConfig, app::App, config::ConfigError};

const NEAR_COUNT_MAX: usize = 5;
// Distances are worth computing for names a person may have typed.
const NAME_CHARS_MAX: usize = 100;

/// What a model is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Chat,
    /// Continuing a text; whoever chats can.
    Complete,
    Embed,
    Rerank,
    /// Counting tokens, which every model can.
    Tokenize,
}

impl Task {
    fn can(self, abilities: &Abilities) -> bool {
        match self {
            Self::Chat | Self::Complete => abilities.chat,
            Self::Embed => abilities.embed.is_some(),
            Self::Rerank => abilities.rerank,
            Self::Tokenize => true,
        }
    }

    fn of(kind: &CloudKind) -> Self {
        match kind {
            CloudKind::Chat(_) => Self::Chat,
            CloudKind::Embed { .. } => Self::Embed,
            CloudKind::Rerank => Self::Rerank,
        }
    }

    /// The task's name in the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Complete => "complete",
            Self::Embed => "embed",
            Self::Rerank => "rerank",
            Self::Tokenize => "tokenize",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Complete => "complete texts",
            Self::Embed => "make embeddings",
            Self::Rerank => "rerank",
            Self::Tokenize => "tokenize",
        }
    }
}

/// A name, and the model that answers to it.
#[derive(Debug)]
pub(crate) struct Named {
    /// As the caller wrote it.
    pub(crate) asked: String,
    pub(crate) card: ModelCard,
    /// What the contract says of the name, where the model stands in for one of the cloud's.
    cloud: Option<&'static CloudName>,
}

impl Named {
    /// The cloud's chat model it stands in for.
    pub(crate) fn cloud_chat(&self) -> Option<&'static CloudChat> {
        match &self.cloud?.kind {
            CloudKind::Chat(chat) => Some(chat),
            _ => None,
        }
    }

    /// Length of the vectors of the cloud's embedding model it stands in for.
    pub(crate) fn cloud_dimensions(&self) -> Option<u32> {
        match self.cloud?.kind {
            CloudKind::Embed { dimensions } => Some(dimensions),
            _ => None,
        }
    }
}

/// Who answers to this name.
///
/// # Errors
/// Nobody does (with names like it), or whoever does cannot do this.
pub(crate) fn find(app: &App, asked: &str, task: Task) -> Result<Named, ApiError> {
    find_in(&app.config, &app.backend.models(), asked, task).map_err(|missing| missing.tell(asked, task))
}

/// Why a name does not answer.
#[derive(Debug, PartialEq, Eq)]
enum Missing {
    /// Nobody has it; these are like it.
    Unknown { near: Vec<String> },
    /// Whoever has it does something else.
    Cannot,
}

impl Missing {
    /// Both dialects say it in these words; the native one puts its own sentence before them.
    fn tell(self, asked: &str, task: Task) -> ApiError {
        match self {
            Self::Unknown { near } => unknown(asked, &near),
            Self::Cannot => {
                let message = format!("The model `{}` does not {}.", shown(asked), task.words());
                ApiError::of(Code::ModelNotSupported).say(message)
            }
        }
    }
}

/// The contract's sentence about a model at an endpoint that is not its own.
pub(crate) const URL_ERROR: &str = "url error, please check url！";

fn find_in(config: &ServeConfig, models: &[ModelCard], asked: &str, task: Task) -> Result<Named, Missing> {
    let named = |card: ModelCard, cloud| Named { asked: asked.to_owned(), card, cloud };
    let known = config.aliases.get(asked).map_or(asked, String::as_str);
    let own = |name: &str| models.iter().find(|card| card.id == name);
    if let Some(card) = own(asked).or_else(|| own(known)) {
        if !task.can(&card.abilities) {
            return Err(Missing::Cannot);
        }
        return Ok(named(card.clone(), None));
    }
    if let Some(cloud) = stand_in::find(asked).filter(|_| config.stand_in) {
        let kind = Task::of(&cloud.kind);
        let fits = kind == task || task == Task::Tokenize || (kind, task) == (Task::Chat, Task::Complete);
        if !fits {
            return Err(Missing::Cannot);
        }
        if let Some(card) = behind(models, kind) {
            return Ok(named(card.clone(), Some(cloud)));
        }
    }
    let listed = cards(config, models);
    let names: Vec<&str> = listed.iter().map(|(name, _)| name.as_str()).collect();
    Err(Missing::Unknown { near: near(asked, &names).into_iter().map(str::to_owned).collect() })
}

/// Who stands in for the cloud's models of a kind: the first that can, but one that was made to embed
/// makes vectors before others and chats after them.
fn behind(models: &[ModelCard], kind: Task) -> Option<&ModelCard> {
    let can = || models.iter().filter(|card| kind.can(&card.abilities));
    let embeds = |card: &&ModelCard| card.abilities.embed.is_some_and(|ability| ability.tells_questions);
    can().find(|card| embeds(card) == (kind == Task::Embed)).or_else(|| can().next())
}

/// Every name that answers here, as `GET /v1/models` shows it.
pub(crate) fn list(config: &ServeConfig, models: &[ModelCard]) -> Vec<Model> {
    let named = cards(config, models).into_iter();
    named.map(|(name, card)| Model::new(name, card.created, card.owned_by.clone())).collect()
}

/// Every name that answers here with the model behind it: models, then aliases, then the cloud's.
pub(crate) fn cards<'a>(config: &ServeConfig, models: &'a [ModelCard]) -> Vec<(String, &'a ModelCard)> {
    let mut named: Vec<(String, &ModelCard)> = models.iter().map(|card| (card.id.clone(), card)).collect();
    for (alias, target) in &config.aliases {
        if let Some(card) = models.iter().find(|card| card.id == *target) {
            named.push((alias.clone(), card));
        }
    }
    for (name, cloud) in stand_in::names().filter(|_| config.stand_in) {
        let card = behind(models, Task::of(&cloud.kind));
        if let Some(card) = card.filter(|_| named.iter().all(|(known, _)| *known != name)) {
            named.push((name, card));
        }
    }
    named
}

/// Refuses aliases that could never answer.
pub(crate) fn check_aliases(config: &ServeConfig, models: &[ModelCard]) -> Result<(), ConfigError> {
    for (alias, model) in &config.aliases {
        if models.iter().any(|card| card.id == *alias) {
            return Err(ConfigError::AliasTaken { alias: alias.clone() });
        }
        if models.iter().all(|card| card.id != *model) {
            let served = models.iter().map(|card| card.id.as_str()).collect::<Vec<_>>().join(", ");
            return Err(ConfigError::AliasTarget { alias: alias.clone(), model: model.clone(), served });
        }
    }
    Ok(())
}

fn shown(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

/// There is no model of this name, but there are these.
pub(crate) fn unknown<S: AsRef<str>>(name: &str, near: &[S]) -> ApiError {
    let message = format!("The model `{}` does not exist or you do not have access to it.{}", shown(name), hint(near));
    ApiError::of(Code::ModelNotFound).say(message)
}

fn hint<S: AsRef<str>>(near: &[S]) -> String {
    let near: Vec<String> = near.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match near.as_slice() {
        [] => String::new(),
        [only] => format!(" Did you mean {only}?"),
        several => format!(" Did you mean one of {}?", several.join(", ")),
    }
}

fn near<'a>(name: &str, names: &[&'a str]) -> Vec<&'a str> {
    let mut ranked: Vec<(isize, &str)> = names.iter().map(|known| (distance(name, known), *known)).collect();
    ranked.sort_by_key(|(distance, _)| *distance);
    ranked.into_iter().take(NEAR_COUNT_MAX).map(|(_, known)| known).collect()
}

/// Edits from one name to the other, less what they begin with in common; case does not count. A
/// name cut short is so nearer than another of equal length.
fn distance(a: &str, b: &str) -> isize {
    let fold = |text: &str| -> Vec<char> { text.chars().take(NAME_CHARS_MAX).flat_map(char::to_lowercase).collect() };
    let (a, b) = (fold(a), fold(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replace = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    let common = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    2 * row[b.len()] as isize - common as isize
}

#[cfg(test)]
mod tests {
    use qwenda_backend::{EmbedAbility, Thinking};

    use super::*;

    #[test]
    fn the_nearest_names_come_first() {
        let names = ["llama-3", "qwen2.5-coder-1.5b-instruct", "qwen2.5-coder-0.5b-instruct", "qwen3-8b"];
        for (name, first) in [
            ("qwen2.5-coder-1.5b", "qwen2.5-coder-1.5b-instruct"),
            ("Qwen2.5-Coder-0.5B-Instruct", "qwen2.5-coder-0.5b-instruct"),
            ("qwen3_8b", "qwen3-8b"),
            ("lama-3", "llama-3"),
        ] {
            assert_eq!(near(name, &names)[0], first, "{name}");
        }
        assert!(near("x", &[]).is_empty());
    }

    fn card(id: &str, abilities: Abilities) -> ModelCard {
        ModelCard {
            id: id.to_owned(),
            created: 1,
            owned_by: "x".to_owned(),
            context_tokens_max: 10,
            thinking: Thinking::Never,
            abilities,
        }
    }

    fn config(stand_in: bool, aliases: &[(&str, &str)]) -> ServeConfig {
        let mut config = ServeConfig::new("127.0.0.1:0".parse().unwrap(), "/x");
        config.stand_in = stand_in;
        config.aliases = aliases.iter().map(|(a, m)| ((*a).to_owned(), (*m).to_owned())).collect();
        config
    }

    fn models() -> Vec<ModelCard> {
        let embed = Some(EmbedAbility { dimensions_default: 8, text_tokens_max: 8, tells_questions: true });
        vec![
            card("vectors", Abilities { embed, ..Abilities::default() }),
            card("chatty", Abilities { chat: true, ..Abilities::default() }),
            card("qwen-max", Abilities { chat: true, ..Abilities::default() }),
        ]
    }

    #[test]
    fn a_name_is_a_model_then_an_alias_then_one_of_the_cloud_s() {
        let like = |name: &str| Err(Missing::Unknown { near: vec![name.to_owned()] });
        let standing = config(true, &[("fast", "chatty")]);
        for (asked, task, want) in [
            ("chatty", Task::Chat, Ok(("chatty", false))),
            ("fast", Task::Chat, Ok(("chatty", false))),
            ("qwen-plus", Task::Chat, Ok(("chatty", true))),
            ("qwen-max", Task::Chat, Ok(("qwen-max", false))),
            ("text-embedding-v4", Task::Embed, Ok(("vectors", true))),
            ("text-embedding-v4", Task::Chat, Err(Missing::Cannot)),
            ("text-embedding-v4", Task::Tokenize, Ok(("vectors", true))),
            ("qwen-plus", Task::Embed, Err(Missing::Cannot)),
            ("vectors", Task::Chat, Err(Missing::Cannot)),
            ("chatty", Task::Rerank, Err(Missing::Cannot)),
            // Nobody here ranks, so nobody stands in.
            ("qwen3-rerank", Task::Rerank, like("qwen3-max")),
            ("fasd", Task::Chat, like("fast")),
            ("qwen-pluss", Task::Chat, like("qwen-plus")),
        ] {
            match (find_in(&standing, &models(), asked, task), want) {
                (Ok(named), Ok((id, cloud))) => {
                    assert_eq!((named.card.id.as_str(), named.cloud.is_some()), (id, cloud), "{asked}");
                    assert_eq!(named.asked, asked);
                }
                (Err(Missing::Unknown { near }), Err(Missing::Unknown { near: first })) => {
                    assert_eq!(near[0], first[0], "{asked}");
                }
                (Err(got), Err(want)) => assert_eq!(got, want, "{asked}"),
                (got, want) => panic!("{asked}: {got:?}, not {want:?}"),
            }
        }
        assert!(find_in(&config(false, &[]), &models(), "qwen-plus", Task::Chat).is_err());
    }

    #[test]
    fn who_was_made_to_embed_makes_vectors_first_and_chats_last() {
        let chats = |tells_questions| Abilities {
            chat: true,
            embed: Some(EmbedAbility { dimensions_default: 8, text_tokens_max: 8, tells_questions }),
            ..Abilities::default()
        };
        let (chatty, embeds) = (card("chatty", chats(false)), card("embeds", chats(true)));
        let standing = config(true, &[]);
        for models in [[chatty.clone(), embeds.clone()], [embeds.clone(), chatty]] {
            let who = |asked, task| find_in(&standing, &models, asked, task).map(|named| named.card.id);
            assert_eq!(who("qwen-plus", Task::Chat).as_deref(), Ok("chatty"));
            assert_eq!(who("text-embedding-v4", Task::Embed).as_deref(), Ok("embeds"));
        }
        let alone = find_in(&standing, &[embeds], "qwen-plus", Task::Chat).map(|named| named.card.id);
        assert_eq!(alone.as_deref(), Ok("embeds"), "where nobody else can");
    }

    #[test]
    fn every_name_that_is_listed_answers() {
        let config = config(true, &[("fast", "chatty"), ("lost", "gone")]);
        let listed = list(&config, &models());
        assert!(listed.iter().any(|model| model.id == "fast"));
        assert!(listed.iter().all(|model| model.id != "lost"));
        assert_eq!(listed.iter().filter(|model| model.id == "qwen-max").count(), 1);
        for model in listed {
            let answers = [Task::Chat, Task::Embed, Task::Rerank]
                .into_iter()
                .any(|task| find_in(&config, &models(), &model.id, task).is_ok());
            assert!(answers, "{}", model.id);
        }
    }

    #[test]
    fn aliases_that_could_never_answer_are_refused() {
        assert!(check_aliases(&config(false, &[("fast", "chatty")]), &models()).is_ok());
        let error = check_aliases(&config(false, &[("fast", "gone")]), &models()).unwrap_err();
        assert!(error.to_string().contains("`fast` stands for `gone`"), "{error}");
        let error = check_aliases(&config(false, &[("chatty", "vectors")]), &models()).unwrap_err();
        assert!(matches!(error, ConfigError::AliasTaken { .. }), "{error}");
    }

    #[test]
    fn an_unknown_model_is_answered_with_names_that_are_known() {
        let error = unknown("gpt", &["a", "b"]);
        assert_eq!(error.status(), 404);
        assert_eq!(
            error.message(),
            "The model `gpt` does not exist or you do not have access to it. Did you mean one of `a`, `b`?"
        );
        assert!(unknown(&"x".repeat(5000), &["a"]).message().len() < 300);
    }
}
