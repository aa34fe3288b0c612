// Numbers as people read them, in the units of the command line.

export function bytes(count) {
  if (count === null || count === undefined) return "–";
  let amount = Number(count);
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (Math.abs(amount) < 1024) return unit === "B" ? `${amount.toFixed(0)} B` : `${amount.toFixed(1)} ${unit}`;
    amount /= 1024;
  }
  return `${amount.toFixed(1)} TiB`;
}

export function seconds(count) {
  if (count === null || count === undefined) return "–";
  if (count < 1) return `${Math.round(count * 1000)} ms`;
  if (count < 60) return `${count.toFixed(1)} s`;
  let rest = Math.round(count);
  const named = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]].map(([size, unit]) => {
    const many = Math.floor(rest / size);
    rest -= many * size;
    return many ? `${many}${unit}` : "";
  });
  return named.filter(Boolean).slice(0, 2).join(" ");
}

export function percent(share) {
  return share === null || share === undefined ? "–" : `${share.toFixed(share < 10 ? 1 : 0)} %`;
}

export function short(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1).replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}

export function clock(epoch) {
  const at = new Date(epoch * 1000);
  const two = (number) => String(number).padStart(2, "0");
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const today = at.toDateString() === new Date().toDateString();
  return today ? time : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

/** An argument as a person reads it: a plain word as it is, anything else as JSON. */
export function argument(said) {
  if (said && typeof said === "object" && Object.keys(said).length === 1 && "$ref" in said) return `<${said.$ref}>`;
  if (typeof said === "string" && said && !/[\s"'{}[\]=]/.test(said)) return said;
  return JSON.stringify(said);
}
