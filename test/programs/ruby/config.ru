# A Rack application for puma, calling out by Net::HTTP.
require 'json'
require 'net/http'
require 'rack'
require 'securerandom'

# Ground truth: what this program knows about its own requests, as JSON lines.
# See ../python/truth.py for the form.
module Truth
  def self.record(fields)
    path = ENV['GROUND_TRUTH'] or return
    File.open(path, File::WRONLY | File::APPEND | File::CREAT) { |f| f.syswrite(JSON.generate(fields) + "\n") }
  end

  def self.call(request, url)
    name = SecureRandom.uuid
    record(request: request, call: name)
    URI("#{url}#{url.include?('?') ? '&' : '?'}id=#{name}")
  end
end

def serve(message, request)
  case message.path_info
  when '/' then [200, "hello\n"]
  when '/slow'
    sleep((message.params['ms'] || 200).to_i / 1000.0)
    [200, "slow\n"]
  when '/error' then [500, "error\n"]
  when '/call'
    begin
      [200, Net::HTTP.get(Truth.call(request, message.params['url']))]
    rescue SystemCallError, IOError, Timeout::Error => e
      [502, "#{e}\n"]
    end
  else [404, "not found\n"]
  end
end

run(lambda do |env|
  message = Rack::Request.new(env)
  request = env['HTTP_X_REQUEST_ID'] || message.params['id'] || ''
  Truth.record(request: request)
  status, body = serve(message, request)
  [status, { 'content-type' => 'text/plain', 'content-length' => body.bytesize.to_s }, [body]]
end)
