local disposition = require("moongate.core.request.disposition")

local app

after_each(function()
  if app then
    app:assert_no_leaks()
    app = nil
  end
end)

describe("the name of a download", function()
  it("is given as RFC 6266 and RFC 8187 have it", function()
    for name, value in pairs({
      ["report.pdf"] = 'filename="report.pdf"',
      ["a b;c=d'.txt"] = 'filename="a b;c=d\'.txt"',
      ["naïve.txt"] = "filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt",
      ["€ 🌕.txt"] = "filename=\"_ _.txt\"; filename*=UTF-8''%E2%82%AC%20%F0%9F%8C%95.txt",
      ['a"b\\c.txt'] = "filename=\"a\\\"b\\\\c.txt\"; filename*=UTF-8''a%22b%5Cc.txt",
      ["100%41.txt"] = "filename=\"100%41.txt\"; filename*=UTF-8''100%2541.txt",
      ["caf\233"] = "filename=\"caf_\"; filename*=UTF-8''caf%EF%BF%BD",
    }) do
      assert.equal("attachment; " .. value, disposition.attachment(name))
    end
  end)
end)
