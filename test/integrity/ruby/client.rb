# Makes the requests of a plan: client.rb URL PLAN POOL THREADS.
# Plan and output: see ../plan.go and ../outcome.go.
require 'digest'
require 'net/http'

url, plan_name, pool_name, threads = ARGV
POOL = File.binread(pool_name)
DEADLINE = 60
PRINTING = Mutex.new

# A body that is sent in pieces.
class Pieces
  def initialize(body, size)
    @body, @size, @at = body, size, 0
  end

  def read(limit, buffer = +'')
    return nil if @at >= @body.bytesize
    n = [@size, limit].min
    buffer.replace(@body.byteslice(@at, n))
    @at += n
    buffer
  end
end

def work(uri, plan)
  http = nil
  plan.each do |line|
    id, method, target, framing, offset, size, piece, expect, close, headers = line.chomp.split("\t", -1)
    body = POOL.byteslice(offset.to_i, size.to_i)
    status, got, error = 0, '', ''
    begin
      unless http
        http = Net::HTTP.new(uri.host, uri.port, nil)
        http.read_timeout = http.open_timeout = http.write_timeout = DEADLINE
        http.continue_timeout = DEADLINE
        http.max_retries = 0
        http.keep_alive_timeout = DEADLINE
        http.start
      end
      request = Net::HTTPGenericRequest.new(method, framing != 'none', method != 'HEAD', target, 'Accept-Encoding' => 'identity')
      headers.split("\x1f").each { |header| name, value = header.split(':', 2); request[name] = value }
      request['Connection'] = 'close' if close == 'close'
      request['Expect'] = '100-continue' if expect == 'expect'
      if framing == 'length'
        request.body = body
      elsif framing == 'chunked'
        request['Transfer-Encoding'] = 'chunked'
        request.body_stream = Pieces.new(body, piece.to_i)
      end
      answer = http.request(request)
      status, got = answer.code, answer.body || ''
    rescue StandardError => e
      error = e.inspect.gsub(/\s+/, ' ')
      http&.finish rescue nil
      http = nil
    end
    PRINTING.synchronize do
      puts [id, status, Digest::SHA256.hexdigest(body), Digest::SHA256.hexdigest(got), error].join("\t")
      $stdout.flush
    end
  end
  http&.finish
end

plan = File.readlines(plan_name)
n = threads.to_i
n.times.map { |i| Thread.new { work(URI(url), plan.each_slice(n).filter_map { |slice| slice[i] }) } }.each(&:join)
