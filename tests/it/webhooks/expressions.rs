//! CEL, as an API server evaluates it. What is compiled is kept: the tests evaluate the same few expressions thousands
//! of times.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
};

use cel::{
    Env, ExecutionError, Program, add_member_overload,
    common::types::{CelBool, CelString},
};
use regex::Regex;

/// What every API server has that PoolGuard supports.
pub(super) fn standard() -> Env {
    let mut env = Env::stdlib();
    add_member_overload!(env, fn matches: (CelString<'_>, CelString<'_>) -> Result<CelBool>)
        .unwrap();
    env
}

/// The library's own function compiles the pattern for each call.
fn matches(text: &CelString<'_>, pattern: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    static COMPILED: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap();
    let pattern = pattern.inner();
    if !compiled.contains_key(pattern) {
        let regex = Regex::new(pattern)
            .map_err(|error| ExecutionError::function_error("matches", error.to_string()))?;
        compiled.insert(pattern.to_owned(), regex);
    }
    Ok(CelBool::from(compiled[pattern].is_match(text.inner())))
}

/// Compiles a filter of the standard environment, once for all tests. Expressions of policies hold the facts of a
/// cluster, and are large: each test keeps its own.
pub(super) fn compile(env: &Env, expression: &str) -> Result<Arc<Program>, String> {
    static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Program>>>> = LazyLock::new(Mutex::default);
    if let Some(program) = COMPILED.lock().unwrap().get(expression) {
        return Ok(Arc::clone(program));
    }
    let program = Arc::new(env.compile(expression).map_err(|error| error.to_string())?);
    COMPILED.lock().unwrap().insert(expression.to_owned(), Arc::clone(&program));
    Ok(program)
}
