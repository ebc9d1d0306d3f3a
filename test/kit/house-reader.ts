/**
 * Reads a house (a folder of TypeScript with its tsconfig.json) and lists what each file imports, exports and mentions.
 * house-rules.ts decides what is allowed.
 *
 * The compiler itself parses the files, so a word in a comment or a string never counts as a use. TypeScript 7 calls
 * this programming interface unstable; its version is pinned, and a test that plants faults would notice if the reader
 * missed something.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import { API } from "typescript/unstable/sync";
import * as ast from "typescript/unstable/ast";

export interface Import {
  /** as written, `node:fs` or `../ports.ts` */
  specifier: string;
  /** the imported file, relative to the house, if it is in the house */
  file: string | undefined;
  /** the imported names, as the other file exports them; `*` for all */
  names: readonly string[];
  typeOnly: boolean;
  line: number;
}

export interface Place {
  what: string;
  line: number;
}

export interface SourceFacts {
  /** relative to the house, with forward slashes */
  path: string;
  lines: number;
  imports: readonly Import[];
  /**
   * Free names in expressions, with the member that is used (`Date.now`), `new Date()` and `new Date(…)` for calls of
   * constructors without and with arguments, `type Promise` for names in types, `async` and `await`.
   */
  mentions: readonly Place[];
  defaultExports: readonly Place[];
  /** `export … from`: what makes a barrel */
  reExports: readonly Place[];
  functions: readonly (Place & { lines: number })[];
  /**
   * Changes of parts of a parameter of type `State`, as `state.members.byId.set` or `state.voting.proposer.round`: by
   * assignment, `++`, `delete`, or a method of `mutators`. A parameter of type `LedgerState` counts as `state.ledger`,
   * and so on. Local names for parts of the state are followed; parts that are passed to another function are followed
   * there, by their type.
   */
  stateChanges: readonly Place[];
  /** string literals that are passed to a function or are in a list; `*` for a template's placeholders */
  texts: readonly string[];
}

/** Methods of collections, and of core's own heap, that change the collection. */
const mutators: ReadonlySet<string> = new Set(
  "set add delete remove clear push pop shift unshift splice sort reverse fill".split(" "),
);

/** Reads every file of the house, but none of its packages. */
export function readHouse(root: string): SourceFacts[] {
  const api = new API({ cwd: root });
  try {
    const found = new Map<string, SourceFacts>();
    // The page has a project of its own, because it runs in a browser.
    for (const place of ["tsconfig.json", "src/ui/tsconfig.json"]) {
      if (!existsSync(path.join(root, place))) continue;
      const snapshot = api.updateSnapshot({ openProject: path.join(root, place) });
      for (const project of snapshot.getProjects()) {
        for (const name of project.program.getSourceFileNames()) {
          const relative = path.relative(root, name).replaceAll(path.sep, "/");
          if (relative.startsWith("..") || relative.includes("node_modules/") || found.has(relative))
            continue;
          const source = project.program.getSourceFile(name);
          if (source !== undefined) found.set(relative, factsOf(source, relative));
        }
      }
    }
    return [...found.values()];
  } finally {
    api.close();
  }
}

function factsOf(source: ast.SourceFile, relative: string): SourceFacts {
  const imports: Import[] = [];
  const mentions: Place[] = [];
  const defaultExports: Place[] = [];
  const reExports: Place[] = [];
  const functions: (Place & { lines: number })[] = [];
  const stateChanges: Place[] = [];
  const texts: string[] = [];
  const lineAt = (position: number): number => source.getLineAndCharacterOfPosition(position).line + 1;
  const lineOf = (node: ast.Node): number => lineAt(node.getStart(source));

  const visit = (node: ast.Node, parent: ast.Node, outer: StatePaths): void => {
    const line = lineOf(node);
    const paths = isFunction(node) ? new Map(outer) : outer;
    learnPaths(node, paths);
    const changed = changeOf(node, paths);
    if (changed !== undefined) stateChanges.push({ what: changed, line });
    const text = textOf(node, parent);
    if (text !== undefined) texts.push(text);
    const taken = importOf(node, relative);
    if (taken !== undefined) imports.push({ ...taken, line });
    if (ast.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
      reExports.push({ what: "export … from", line });
    }
    if (
      ast.isExportAssignment(node) ||
      (node.kind === ast.SyntaxKind.DefaultKeyword && isModifierOf(parent))
    ) {
      defaultExports.push({ what: "export default", line });
    }
    const what = mentionOf(node, parent);
    if (what !== undefined) mentions.push({ what, line });
    if (isFunction(node)) {
      functions.push({ what: nameOf(node, parent), line, lines: lineAt(node.end) - line + 1 });
    }
    node.forEachChild((child) => visit(child, node, paths));
  };
  const noPaths: StatePaths = new Map();
  source.forEachChild((child) => visit(child, source, noPaths));
  const lines = source.getLineStarts().length - (source.text.endsWith("\n") ? 1 : 0);
  return {
    path: relative,
    lines,
    imports,
    mentions,
    defaultExports,
    reExports,
    functions,
    stateChanges,
    texts,
  };
}

/** Local names for State and for parts of it, each with its path. */
type StatePaths = Map<string, string>;

function learnPaths(node: ast.Node, paths: StatePaths): void {
  if (ast.isParameterDeclaration(node)) {
    paths.delete(ast.isIdentifier(node.name) ? node.name.text : "");
    const held = node.type === undefined ? undefined : stateHeldBy(node.type);
    if (held !== undefined) bind(node.name, held, paths);
  }
  if (ast.isVariableDeclaration(node) && node.initializer !== undefined) {
    const held = pathOf(node.initializer, paths);
    if (held !== undefined) bind(node.name, held, paths);
  }
}

/** The path that a parameter of this type means: the whole state, or the part after which the type is named. */
function stateHeldBy(type: ast.Node): string | undefined {
  if (!ast.isTypeReferenceNode(type) || !ast.isIdentifier(type.typeName)) return undefined;
  const { text } = type.typeName;
  if (text === "State") return "state";
  return text.endsWith("State")
    ? `state.${text[0]?.toLowerCase()}${text.slice(1, -"State".length)}`
    : undefined;
}

function bind(name: ast.Node, held: string, paths: StatePaths): void {
  if (ast.isIdentifier(name)) paths.set(name.text, held);
  if (!ast.isObjectBindingPattern(name)) return;
  for (const element of name.elements) {
    const member = element.propertyName ?? element.name;
    if (member !== undefined && ast.isIdentifier(member) && element.name !== undefined) {
      bind(element.name, `${held}.${member.text}`, paths);
    }
  }
}

function pathOf(node: ast.Node, paths: StatePaths): string | undefined {
  if (ast.isIdentifier(node)) return paths.get(node.text);
  if (ast.isElementAccessExpression(node)) return pathOf(node.expression, paths);
  if (!ast.isPropertyAccessExpression(node)) return undefined;
  const owner = pathOf(node.expression, paths);
  return owner === undefined ? undefined : `${owner}.${node.name.text}`;
}

function changeOf(node: ast.Node, paths: StatePaths): string | undefined {
  const target = changedBy(node);
  return target === undefined || ast.isIdentifier(target) ? undefined : pathOf(target, paths);
}

function changedBy(node: ast.Node): ast.Node | undefined {
  if (ast.isBinaryExpression(node)) {
    const { kind } = node.operatorToken;
    const assigns = kind >= ast.SyntaxKind.FirstAssignment && kind <= ast.SyntaxKind.LastAssignment;
    return assigns ? node.left : undefined;
  }
  if (ast.isPrefixUnaryExpression(node) || ast.isPostfixUnaryExpression(node)) {
    const { operator } = node;
    const counts = operator === ast.SyntaxKind.PlusPlusToken || operator === ast.SyntaxKind.MinusMinusToken;
    return counts ? node.operand : undefined;
  }
  if (ast.isDeleteExpression(node)) return node.expression;
  if (!ast.isCallExpression(node) || !ast.isPropertyAccessExpression(node.expression)) return undefined;
  return mutators.has(node.expression.name.text) ? node.expression : undefined;
}

function textOf(node: ast.Node, parent: ast.Node): string | undefined {
  const isPassed =
    ast.isCallExpression(parent) ||
    ast.isArrayLiteralExpression(parent) ||
    ast.isConditionalExpression(parent);
  if (!isPassed) return undefined;
  if (ast.isStringLiteral(node)) return node.text;
  if (!ast.isTemplateExpression(node)) return undefined;
  return node.head.text + node.templateSpans.map(({ literal }) => `*${literal.text}`).join("");
}

function importOf(node: ast.Node, from: string): Omit<Import, "line"> | undefined {
  if (ast.isImportDeclaration(node) && ast.isStringLiteral(node.moduleSpecifier)) {
    const clause = node.importClause;
    const bindings = clause?.namedBindings;
    const elements = bindings !== undefined && ast.isNamedImports(bindings) ? [...bindings.elements] : [];
    const names = elements.map((element) => (element.propertyName ?? element.name).text);
    if (bindings !== undefined && ast.isNamespaceImport(bindings)) names.push("*");
    if (clause?.name !== undefined) names.push("default");
    const typeOnly =
      clause?.phaseModifier === ast.SyntaxKind.TypeKeyword ||
      (elements.length > 0 &&
        names.length === elements.length &&
        elements.every((element) => element.isTypeOnly));
    return taking(from, node.moduleSpecifier.text, names, typeOnly);
  }
  if (ast.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
    if (!ast.isStringLiteral(node.moduleSpecifier)) return undefined;
    return taking(from, node.moduleSpecifier.text, ["*"], node.isTypeOnly);
  }
  if (ast.isCallExpression(node) && node.expression.kind === ast.SyntaxKind.ImportKeyword) {
    const [argument] = node.arguments;
    const specifier = argument !== undefined && ast.isStringLiteral(argument) ? argument.text : "(computed)";
    return taking(from, specifier, ["*"], false);
  }
  if (ast.isImportTypeNode(node)) {
    const argument = node.argument;
    if (!ast.isLiteralTypeNode(argument) || !ast.isStringLiteral(argument.literal)) return undefined;
    return taking(from, argument.literal.text, ["*"], true);
  }
  return undefined;
}

function taking(from: string, specifier: string, names: string[], typeOnly: boolean): Omit<Import, "line"> {
  const own = specifier.startsWith(".");
  const file = own ? path.posix.join(path.posix.dirname(from), specifier) : undefined;
  return { specifier, file, names, typeOnly };
}

function mentionOf(node: ast.Node, parent: ast.Node): string | undefined {
  if (node.kind === ast.SyntaxKind.AsyncKeyword) return "async";
  if (ast.isAwaitExpression(node)) return "await";
  if (ast.isForOfStatement(node) && node.awaitModifier !== undefined) return "await";
  if (!ast.isIdentifier(node) || isOnlyAName(node, parent)) return undefined;
  if (ast.isTypeReferenceNode(parent)) return `type ${node.text}`;
  if (ast.isPropertyAccessExpression(parent)) return `${node.text}.${parent.name.text}`;
  if (ast.isNewExpression(parent) && parent.expression === node) {
    return `new ${node.text}(${(parent.arguments?.length ?? 0) > 0 ? "…" : ""})`;
  }
  return node.text;
}

/** True if the identifier only names a member, a property or an import, and so refers to nothing outside. */
function isOnlyAName(node: ast.Node, parent: ast.Node): boolean {
  if (ast.isPropertyAccessExpression(parent)) return parent.name === node;
  if (ast.isImportSpecifier(parent) || ast.isExportSpecifier(parent) || ast.isImportClause(parent))
    return true;
  if (ast.isBindingElement(parent)) return parent.propertyName === node;
  return (
    (ast.isPropertyAssignment(parent) ||
      ast.isPropertySignatureDeclaration(parent) ||
      ast.isPropertyDeclaration(parent) ||
      ast.isMethodDeclaration(parent) ||
      ast.isMethodSignatureDeclaration(parent) ||
      ast.isGetAccessorDeclaration(parent) ||
      ast.isSetAccessorDeclaration(parent)) &&
    parent.name === node
  );
}

function isModifierOf(parent: ast.Node): boolean {
  return (
    ast.isFunctionDeclaration(parent) || ast.isClassDeclaration(parent) || ast.isInterfaceDeclaration(parent)
  );
}

function isFunction(node: ast.Node): boolean {
  return (
    ast.isFunctionDeclaration(node) ||
    ast.isFunctionExpression(node) ||
    ast.isArrowFunction(node) ||
    ast.isMethodDeclaration(node) ||
    ast.isConstructorDeclaration(node) ||
    ast.isGetAccessorDeclaration(node) ||
    ast.isSetAccessorDeclaration(node)
  );
}

function nameOf(node: ast.Node, parent: ast.Node): string {
  for (const candidate of [node, parent]) {
    if ("name" in candidate) {
      const name = candidate.name;
      if (typeof name === "object" && name !== null && "text" in name) return String(name.text);
    }
  }
  return ast.isConstructorDeclaration(node) ? "constructor" : "(unnamed)";
}
