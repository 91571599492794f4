//! ValidatingAdmissionPolicies, as an API server would evaluate them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
    sync::Arc,
};

use cel::{Context, Env, Program, extensions};
use serde_json::{Value, json};

use super::{
    api_server::{context, namespace_matches, rule_matches},
    expressions::standard,
};

thread_local! {
    /// Expressions that hold no facts of a cluster are the same in every policy.
    static PROGRAMS: RefCell<HashMap<String, Rc<Program>>> = RefCell::default();
}

fn compile(env: &Env, text: &Value) -> Rc<Program> {
    let text = text.as_str().unwrap();
    PROGRAMS.with_borrow_mut(|programs| {
        if let Some(program) = programs.get(text) {
            return Rc::clone(program);
        }
        let compiled = env.compile(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let program = Rc::new(compiled);
        programs.insert(text.to_owned(), Rc::clone(&program));
        program
    })
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A policy with the binding behind it, compiled.
pub(crate) struct AdmissionPolicy {
    env: Arc<Env>,
    constraints: Value,
    conditions: Vec<Rc<Program>>,
    variables: Vec<(String, Rc<Program>)>,
    validations: Vec<(Rc<Program>, Rc<Program>)>,
}

/// What an evaluation comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// No validation fails.
    Allowed,
    /// The text that the client sees.
    Denied(String),
    /// An expression fails, which the failure policy turns into an allowance.
    Failed(String),
}

impl AdmissionPolicy {
    /// The policies of a list in which each binding follows its policy.
    pub(crate) fn all(objects: &[Value]) -> Vec<Self> {
        objects
            .chunks(2)
            .map(|pair| {
                let [policy, binding] = pair else { panic!("{pair:?}") };
                assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
                assert_eq!(binding["spec"]["validationActions"], json!(["Deny"]));
                Self::new(policy)
            })
            .collect()
    }

    fn new(policy: &Value) -> Self {
        let mut env = standard();
        // API servers that have policies have it as well.
        env.add_extension(extensions::strings).unwrap();
        let env = Arc::new(env);
        let spec = &policy["spec"];
        assert_eq!(spec["failurePolicy"], "Ignore");
        let list = |name: &str| spec[name].as_array().unwrap().iter();
        let compile = |text: &Value| {
            // The limit of the API server's parser.
            assert!(text.as_str().unwrap().chars().count() < 100_000);
            compile(&env, text)
        };
        let conditions = list("matchConditions").map(|it| compile(&it["expression"])).collect();
        let variables = list("variables")
            .map(|it| (it["name"].as_str().unwrap().to_owned(), compile(&it["expression"])));
        let variables = variables.collect();
        let validations = list("validations")
            .map(|it| (compile(&it["expression"]), compile(&it["messageExpression"])))
            .collect();
        let constraints = spec["matchConstraints"].clone();
        Self { env, constraints, conditions, variables, validations }
    }

    /// Whether the API server evaluates anything for this request.
    pub(crate) fn selects(&self, review: &Value) -> bool {
        let request = &review["request"];
        let rules = self.constraints["resourceRules"].as_array().unwrap();
        rules.iter().any(|rule| rule_matches(rule, request))
            && namespace_matches(&self.constraints["namespaceSelector"], request)
    }

    /// What becomes of the request.
    pub(crate) fn answer(&self, review: &Value) -> Answer {
        if !self.selects(review) {
            return Answer::Allowed;
        }
        // An API server stores no null.
        let mut review = review.clone();
        without_nulls(&mut review["request"]);
        let mut context = context(&self.env, &review);
        match self.evaluate(&mut context) {
            Ok(None) => Answer::Allowed,
            Ok(Some(text)) => Answer::Denied(text),
            Err(why) => Answer::Failed(why),
        }
    }

    fn evaluate(&self, context: &mut Context<'_, '_>) -> Result<Option<String>, String> {
        let holds = |program: &Program, context: &Context<'_, '_>| match program.execute(context) {
            Ok(cel::Value::Bool(holds)) => Ok(holds),
            other => Err(format!("{other:?}")),
        };
        for condition in &self.conditions {
            if !holds(condition, context)? {
                return Ok(None);
            }
        }
        let mut known: BTreeMap<String, cel::Value> = BTreeMap::new();
        for (name, program) in &self.variables {
            // One that fails matters only to an expression that reads it.
            if let Ok(value) = program.execute(context) {
                known.insert(name.clone(), value);
                let map: HashMap<String, cel::Value> = known.clone().into_iter().collect();
                context.add_variable_from_value("variables", cel::Value::from(map));
            }
        }
        for (expression, message) in &self.validations {
            if !holds(expression, context)? {
                return match message.execute(context) {
                    Ok(cel::Value::String(text)) => Ok(Some(text.to_string())),
                    other => Err(format!("the message: {other:?}")),
                };
            }
        }
        Ok(None)
    }
}
