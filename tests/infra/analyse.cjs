// Analyses KQL by Microsoft's language service.
// stdin: {"tables": {name: {column: type}}, "queries": {name: text}}
// stdout: {name: {"diagnostics": [text], "columns": {name: type}}}
"use strict";

require("@kusto/language-service-next/bridge.min.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.min.js");

const { Kusto, Bridge } = globalThis;
const { Symbols, GlobalState, KustoCode } = Kusto.Language;

const listed = (found) => Bridge.toArray(found);

function table([name, columns]) {
  const schema = Object.entries(columns).map(([column, type]) => `${column}:${type}`);
  return new Symbols.TableSymbol.$ctor7(name, `(${schema.join(", ")})`, ""); // by a schema
}

function analysed(text, globals) {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  const columns = listed(code.ResultType?.Columns ?? []);
  return {
    diagnostics: listed(code.GetDiagnostics()).map(
      (one) => `${text.slice(one.Start, one.Start + one.Length)}: ${one.Message}`,
    ),
    columns: Object.fromEntries(columns.map((one) => [one.Name, one.Type.Name])),
  };
}

const { tables, queries } = JSON.parse(require("node:fs").readFileSync(0, "utf-8"));
const database = new Symbols.DatabaseSymbol.ctor("workspace", Object.entries(tables).map(table));
const globals = GlobalState.Default.WithDatabase(database);
const answers = Object.entries(queries).map(([name, text]) => [name, analysed(text, globals)]);
process.stdout.write(JSON.stringify(Object.fromEntries(answers)));
